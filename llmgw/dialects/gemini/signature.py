"""Other providers' thoughts within Gemini's `thoughtSignature`, so that a Gemini client can send them back.

A client keeps a signature as opaque bytes (base64 in JSON, either alphabet). What a foreign thought needs for its
replay is put there behind a prefix that names its dialect; Gemini's own signatures pass as they are.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

import msgspec

from llmgw.canonical import Thought
from llmgw.dialects.gemini.spelling import NAME
from llmgw.dialects.origin import ENCODED, PREFIX

PLACEHOLDER: Final = "skip_thought_signature_validator"
"""Stands in for the signature of a call that another model made (ai.google.dev, "Thought signatures", FAQ)."""

_PREFIX: Final = PREFIX.encode()


class Seal(msgspec.Struct, omit_defaults=True):
    """What a thought of another dialect needs beside its text."""

    signature: str | None = None
    redacted: str | None = None
    id: str | None = None


_decode: Final = msgspec.json.Decoder(Seal).decode


def seal(origin: str, held: Seal) -> str:
    """A `thoughtSignature` that carries `held`."""
    text = _PREFIX + origin.encode() + b":" + msgspec.json.encode(held)
    return base64.b64encode(text).decode()


def unseal(signature: str) -> tuple[str, Seal] | None:
    """The dialect and what it needs, where `signature` was made by `seal`; None for Gemini's own."""
    if not signature.startswith(ENCODED):
        return None
    try:
        raw = base64.urlsafe_b64decode(signature.replace("+", "-").replace("/", "_"))
        origin, _, rest = raw.removeprefix(_PREFIX).partition(b":")
        return origin.decode(), _decode(rest)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        return None


def thought(text: str, signature: str | None) -> Thought:
    """A thought as a Gemini client has it, with its origin."""
    found = None if signature is None else unseal(signature)
    if found is None:
        return Thought(text=text, signature=signature)
    origin, held = found
    return Thought(
        text=text,
        signature=held.signature,
        redacted=held.redacted,
        id=held.id,
        native={} if origin == NAME else {"dialect": origin},
    )
