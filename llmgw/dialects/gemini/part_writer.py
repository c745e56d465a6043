"""Neutral parts as Gemini's, as far as requests and answers write them alike."""

from __future__ import annotations

import base64

from llmgw.canonical import Inline, Json, Media, PlainText, Stored, Text, Thought, ToolCall
from llmgw.dialects.gemini.signature import Seal, seal
from llmgw.dialects.gemini.spelling import NAME, json_object, words_of
from llmgw.dialects.origin import origin_of
from llmgw.errors import CallError


def text(part: Text, own: bool) -> dict[str, Json]:
    """A text with its signature.

    Args:
        own: whether the part's `native` is Gemini's.
    """
    written: dict[str, Json] = {"text": part.text}
    if part.signature is not None:
        written["thoughtSignature"] = part.signature
    if own:
        written.update(part.native)
    return written


def thought(part: Thought, default: str) -> dict[str, Json]:
    """A thought; one of another dialect with all its provider needs sealed into the signature.

    Args:
        default: the dialect it is of where it does not say.
    """
    origin = origin_of(part, default)
    written: dict[str, Json] = {"text": part.text, "thought": True}
    if origin != NAME:
        held = Seal(signature=part.signature, redacted=part.redacted, id=part.id)
        if held != Seal():
            written["thoughtSignature"] = seal(origin, held)
        return written
    signature = part.signature or part.redacted
    if signature is not None:
        written["thoughtSignature"] = signature
    more = {name: value for name, value in part.native.items() if name != "dialect"}
    if more and not part.text:
        del written["text"]
    written.update(more)
    return written


def call(part: ToolCall, own: bool, error: type[CallError]) -> dict[str, Json]:
    """A function call.

    Raises:
        CallError: of the class `error`, where the arguments are not one JSON object.
    """
    arguments: Json = json_object(part.arguments) if part.arguments.strip() else {}
    if part.custom:
        arguments = {"input": part.arguments}
    if arguments is None:
        raise error(f"The arguments of the call of {part.name!r} must be one JSON object.")
    written: dict[str, Json] = {"name": part.name, "args": arguments}
    if part.id is not None:
        written["id"] = part.id
    beside: dict[str, Json] = {}
    if own:
        beside.update(part.native)
        written.update(beside.pop("functionCall", {}))
        written.update(words_of(part.native))
    found: dict[str, Json] = {"functionCall": written}
    if part.signature is not None:
        found["thoughtSignature"] = part.signature
    return found | beside


def media(part: Media, own: bool) -> dict[str, Json]:
    """An image, a sound, a film or a document; text documents are encoded as bytes."""
    source = part.source
    beside = {**part.native, **words_of(part.native)} if own else {}
    more = beside.pop("blob", {})
    if own and part.name is not None:
        more = {**more, "displayName": part.name}
    if isinstance(source, Inline):
        return {"inlineData": {"mimeType": source.media_type, "data": source.data, **more}, **beside}
    if isinstance(source, PlainText):
        return {"inlineData": {"mimeType": "text/plain", "data": plain(source), **more}, **beside}
    file: dict[str, Json] = {"fileUri": source.id if isinstance(source, Stored) else source.url}
    if source.media_type is not None:
        file["mimeType"] = source.media_type
    return {"fileData": {**file, **more}, **beside}


def plain(source: PlainText) -> str:
    """A text document as base64."""
    return base64.b64encode(source.text.encode("utf-8", "replace")).decode()
