"""A stream that is one JSON array, cut into its elements as they come.

Without `alt=sse` Gemini streams `[{…}` `,\\r\\n{…}` … `]`, cut anywhere. Only strings and brackets matter for where an
element ends; the scan remembers where it stands, so each byte is looked at once however the stream is cut.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from llmgw.dialects.sse import EVENT_LIMIT
from llmgw.errors import UpstreamFailed

_token: Final = re.compile(rb'["{}\[\]]').search
_string_rest: Final = re.compile(rb'(?:[^"\\]|\\.)*', re.DOTALL).match
_check: Final = msgspec.json.Decoder(msgspec.Raw).decode
_PIECE: Final = 64 * 1024
_SEPARATORS: Final = b" \t\r\n,"


class ArraySplitter:
    """Cuts an array, or a single object, into its elements. Memory: one unfinished element."""

    __slots__ = ("_at", "_buffer", "_depth", "_in_string", "_is_array", "_over", "_start")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._start = -1
        self._depth = 0
        self._in_string = False
        self._is_array = False
        self._over = False

    def feed(self, data: bytes) -> list[bytes]:
        """The elements that `data` completes.

        Raises:
            UpstreamFailed: this is no such array, or an element is larger than EVENT_LIMIT.
        """
        if self._is_array and not self._buffer and not self._over:
            whole = data.strip(_SEPARATORS)
            if _is_object(whole):
                return [whole]
        self._buffer += data
        found: list[bytes] = []
        while self._step(found):
            pass
        cut = self._start if self._start >= 0 else self._at
        if cut:
            del self._buffer[:cut]
            self._at -= cut
            self._start = 0 if self._start >= 0 else -1
        if len(self._buffer) > EVENT_LIMIT:
            raise UpstreamFailed(f"The provider sent an event of more than {EVENT_LIMIT >> 20} MiB.")
        return found

    def _step(self, found: list[bytes]) -> bool:
        """Go on to the next bracket or string; whether there is one."""
        if self._in_string:
            match = _string_rest(self._buffer, self._at)
            self._at = self._at if match is None else match.end()
            # At the end of the piece, or at a backslash whose character is still to come.
            if self._at >= len(self._buffer) or self._buffer[self._at] != _QUOTE:
                return False
            self._at += 1
            self._in_string = False
        token = _token(self._buffer, self._at)
        until = len(self._buffer) if token is None else token.start()
        if self._start < 0 and self._buffer[self._at : until].strip(_SEPARATORS):
            raise UpstreamFailed("The provider's stream is not a JSON array of objects.")
        self._at = until
        if token is None:
            return False
        self._at += 1
        self._take(self._buffer[until], until, found)
        return True

    def _take(self, byte: int, at: int, found: list[bytes]) -> None:
        if self._start >= 0:
            if byte == _QUOTE:
                self._in_string = True
            elif byte in b"{[":
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == 0:
                    found.append(bytes(self._buffer[self._start : at + 1]))
                    self._start = -1
                    self._over = not self._is_array
        elif byte == _BRACE and not self._over:
            self._start, self._depth = at, 1
        elif byte == _BRACKET and not self._is_array and not self._over:
            self._is_array = True
        elif byte == _BRACKET_END and self._is_array and not self._over:
            self._over = True
        else:
            raise UpstreamFailed("The provider's stream is not a JSON array of objects.")

    @property
    def unfinished(self) -> bool:
        """Whether an element has begun that is not complete."""
        return self._start >= 0

    @property
    def over(self) -> bool:
        """Whether the array, or the single object, is complete."""
        return self._over

    def end(self) -> list[bytes]:
        """Nothing is left that could be an element.

        Raises:
            UpstreamFailed: the array was cut off.
        """
        if not self._over:
            raise UpstreamFailed("The provider ended the stream before the answer was complete.")
        return []


def _is_object(piece: bytes) -> bool:
    """Whether `piece` is one whole element, as pieces nearly always are: then nothing needs to be scanned here. Only
    small ones are tried, so that a large one in many pieces is not tried over and over."""
    if len(piece) > _PIECE or not piece.startswith(b"{") or not piece.endswith(b"}"):
        return False
    try:
        _check(piece)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return False
    return True


_QUOTE, _BRACE, _BRACKET, _BRACKET_END = b'"{[]'
