"""W3C Trace Context: the client's trace is continued, or a new one begun. Pure but for random ids.

Source: W3C Trace Context, level 1, sections 3.2 (traceparent) and 3.3 (tracestate). A header that does not
conform is ignored as a whole and a new trace starts, as the specification asks.
"""

from __future__ import annotations

import re
from random import getrandbits
from typing import Final

from msgspec import Struct

# A version above 00 may append fields after another dash; version ff is forbidden.
_traceparent: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
).fullmatch
STATE_LIMIT: Final = 512
"""Bytes of tracestate carried on; the specification asks for at least these."""
SAMPLED: Final = 1


class TraceContext(Struct, frozen=True):
    """One call's place in a trace; ids in lower-case hex."""

    trace_id: str
    span_id: str
    """Ours, the parent of what the provider does."""
    parent_id: str | None
    """The client's span; None where the trace begins here."""
    flags: int
    state: bytes | None

    def header(self) -> bytes:
        """The `traceparent` for the provider."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}".encode()


def begin(traceparent: bytes | None, tracestate: bytes | None) -> TraceContext:
    """The context of a call that came with these headers (None: absent; a repeated one comes joined by a
    comma, which is not conforming for traceparent and is for tracestate)."""
    match = _traceparent(traceparent) if traceparent is not None else None
    if match is None or (match[1] == b"00" and match[5] is not None):
        ids = _random_hex(192)
        return TraceContext(ids[:32], ids[32:], None, 0, None)
    keep = tracestate is not None and 0 < len(tracestate) <= STATE_LIMIT
    return TraceContext(
        match[2].decode(),
        _random_hex(64),
        match[3].decode(),
        int(match[4], 16) & SAMPLED,
        tracestate if keep else None,
    )


def _random_hex(bits: int) -> str:
    # An all-zero id would be invalid; at these lengths chance does not make one.
    return f"{getrandbits(bits):0{bits // 4}x}"
