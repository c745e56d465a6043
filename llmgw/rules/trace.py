"""W3C Trace Context: the client's trace is continued, or a new one begun. Pure but for random ids.

Source: W3C Trace Context, level 1, sections 3.2 (traceparent) and 3.3 (tracestate). A traceparent that does not
conform is ignored together with its tracestate, and a new trace starts; a tracestate that does not conform is
dropped and the trace goes on.
"""

from __future__ import annotations

import os
import re
from random import Random
from typing import Final

from msgspec import Struct

# A version above 00 may append fields after another dash (section 3.2.4); version ff is forbidden.
_traceparent: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
).fullmatch

# Section 3.3.1.3: a key, perhaps of a tenant (`t@system`), and printable ASCII without comma and equals sign that
# does not end in a space. Level 2 lets any key begin with a digit, and senders do.
_member: Final = re.compile(
    rb"[0-9a-z][0-9a-z_*/-]{0,240}(?:@[a-z][0-9a-z_*/-]{0,13})?=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
).fullmatch

STATE_BYTES: Final = 512
"""Of tracestate, carried on; the specification asks for at least these (section 3.3.1.5)."""

STATE_MEMBERS: Final = 32
"""Of tracestate, the most that conform (section 3.3.1.1)."""

LONG_MEMBER: Final = 128
"""Bytes beyond which a member is the first to go (section 3.3.1.5)."""

SAMPLED: Final = 1
"""The one flag of level 1; others are set to zero, as section 3.2.2.5 has it."""

# Of our own: a seed that some other part of the process sets must not make ids come twice.
_random: Final = Random()  # noqa: S311 - an id must be unique, not secret
_bits: Final = _random.getrandbits
# Workers are forked, and two must not draw the same.
os.register_at_fork(after_in_child=_random.seed)


class TraceContext(Struct, frozen=True):
    """One call's place in a trace; ids in lower-case hex."""

    trace_id: str
    span_id: str
    """Ours, the parent of what the provider does."""
    parent_id: str | None
    """The client's span; None where the trace begins here."""
    flags: int
    state: bytes | None
    """The tracestate for the provider; None: send none."""

    def header(self) -> bytes:
        """The `traceparent` for the provider."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}".encode()


def begin(traceparent: bytes | None, tracestate: bytes | None) -> TraceContext:
    """The context of a call that came with these headers.

    None: absent. A header that came several times is joined by a comma, which tracestate allows and traceparent
    does not.
    """
    match = _traceparent(traceparent) if traceparent is not None else None
    if match is None or (match[1] == b"00" and match[5] is not None):
        ids = _random_hex(192)
        return TraceContext(ids[:32], ids[32:], None, 0, None)
    return TraceContext(
        match[2].decode(),
        _random_hex(64),
        match[3].decode(),
        int(match[4], 16) & SAMPLED,
        _carried(tracestate) if tracestate is not None else None,
    )


def _carried(state: bytes) -> bytes | None:
    """The tracestate to send on: as it came where it fits, shortened by whole members where it does not."""
    members = [stripped for member in state.split(b",") if (stripped := member.strip(b" \t"))]
    if not members or len(members) > STATE_MEMBERS or not all(map(_member, members)):
        return None
    if len(state) <= STATE_BYTES:
        return state
    size = sum(map(len, members)) + len(members) - 1
    # The oldest are on the right; long ones go first, wherever they stand.
    for member in [m for m in reversed(members) if len(m) > LONG_MEMBER] + members[::-1]:
        if size <= STATE_BYTES:
            break
        if member in members:
            members.remove(member)
            size -= len(member) + 1
    return b",".join(members) or None


def _random_hex(bits: int) -> str:
    # An all-zero id would be invalid; at these lengths chance does not make one.
    return f"{_bits(bits):0{bits // 4}x}"
