"""What the simulated provider says, before any timing: a plain answer, or a stream of tokens.

The text has one word per token. Its first word is taken from a digest of the request, so that equal requests
get equal bytes and different ones can be told apart.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Final

from msgspec import Raw, Struct

from llmgw.ports import Header

CREATED: Final = 1_767_225_600
"""Every answer was made at this Unix time: a clock would make equal requests differ."""

JSON: Final[Header] = (b"content-type", b"application/json")
EVENT_STREAM: Final[Header] = (b"content-type", b"text/event-stream; charset=utf-8")

_WORDS: Final = (
    " is", " a", " simulated", " answer:", " no", " model", " was", " asked,", " no", " network", " was",
    " used,", " and", " the", " same", " question", " gets", " the", " same", " words", " again.", " This",
)  # fmt: skip


class Plain(Struct, frozen=True):
    """An answer in one piece that took `tokens` tokens to make."""

    status: int
    headers: list[Header]
    body: bytes
    tokens: int = 1


class Stream(Struct, frozen=True):
    """An event stream: `prelude`, then `token(0)` to `token(tokens - 1)`, then `coda`."""

    headers: list[Header]
    prelude: bytes
    tokens: int
    token: Callable[[int], bytes]
    coda: bytes


class BadRequest(Exception):
    """The request is one that the provider would refuse with a 400."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code


def digest(body: bytes) -> str:
    """24 hex digits that name the request."""
    return hashlib.blake2b(body, digest_size=12).hexdigest()


def word(index: int, name: str) -> str:
    """The text of token `index` in the answer to the request called `name`."""
    return _WORDS[(index - 1) % len(_WORDS)] if index else name[:8]


def text(tokens: int, name: str) -> str:
    """The whole text of that many tokens."""
    return name[:8] + _tail(tokens)


@functools.lru_cache(maxsize=64)
def _tail(tokens: int) -> str:
    return "".join(_WORDS[index % len(_WORDS)] for index in range(tokens - 1))


def length(wanted: int, limit: int | None) -> tuple[int, bool]:
    """How many of `wanted` tokens the request's `limit` leaves, and whether that cuts the answer short."""
    return (wanted, False) if limit is None or limit >= wanted else (limit, True)


def input_tokens(*parts: Raw | bytes) -> int:
    """A token for every four bytes of JSON, the usual rule of thumb; at least one."""
    return max(1, sum(map(len, map(bytes, parts))) // 4)


def event(payload: bytes, name: bytes = b"") -> bytes:
    """One server-sent event."""
    return b"event: %s\ndata: %s\n\n" % (name, payload) if name else b"data: %s\n\n" % payload
