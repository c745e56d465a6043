"""Trace contexts, by the rules of the W3C."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw.rules.trace import STATE_BYTES, begin

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01".encode()


@pytest.mark.parametrize(
    ("traceparent", "flags"),
    [
        (PARENT, 1),
        (f"00-{TRACE}-{SPAN}-00".encode(), 0),
        (f"00-{TRACE}-{SPAN}-ff".encode(), 1),
        (f"00-{TRACE}-{SPAN}-fe".encode(), 0),
        (f"01-{TRACE}-{SPAN}-01".encode(), 1),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-brings".encode(), 1),
        (f"fe-{TRACE}-{SPAN}-01-".encode(), 1),
    ],
)
def test_a_trace_is_continued(traceparent: bytes, flags: int) -> None:
    """The trace id stays, the span is new, the flag `sampled` alone is passed on, in our version's form."""
    context = begin(traceparent, None)
    assert (context.trace_id, context.parent_id, context.flags) == (TRACE, SPAN, flags)
    assert context.span_id != SPAN
    assert context.header() == f"00-{TRACE}-{context.span_id}-{flags:02x}".encode()


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        b"",
        b"00",
        PARENT[:-1],
        PARENT + b"0",
        PARENT + b"-more",
        PARENT.upper(),
        b" " + PARENT,
        PARENT + b"\n",
        PARENT + b", " + PARENT,
        f"ff-{TRACE}-{SPAN}-01".encode(),
        f"cc-{TRACE}-{SPAN}-01.more".encode(),
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE[:-1]}-{SPAN}-01".encode(),
        f"00-{TRACE[:-1]}g-{SPAN}-01".encode(),
        f"00_{TRACE}_{SPAN}_01".encode(),
        f"00-{TRACE}-{SPAN}-0\xe9".encode("latin-1"),
    ],
)
def test_anything_else_begins_a_new_trace(traceparent: bytes | None) -> None:
    """Nothing of a header that does not conform is used, and its tracestate neither."""
    context = begin(traceparent, b"vendor=1")
    assert context.trace_id != TRACE
    assert (context.parent_id, context.flags, context.state) == (None, 0, None)
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-00", context.header())


@given(st.binary(max_size=80), st.none() | st.binary(max_size=80))
def test_whatever_comes_the_provider_gets_a_valid_header(
    traceparent: bytes, tracestate: bytes | None
) -> None:
    """No bytes raise, and none of them reach the provider unless they conform."""
    context = begin(traceparent, tracestate)
    assert begin(context.header(), None).trace_id == context.trace_id
    assert begin(context.header(), None).parent_id == context.span_id


def test_ids_do_not_repeat_when_somebody_sets_a_seed() -> None:
    """Another part of the process that seeds the random module has no say in our ids."""
    ids = set()
    state = random.getstate()
    for _ in range(100):
        random.seed(1)
        ids.add(begin(None, None).trace_id)
        ids.add(begin(PARENT, None).span_id)
    random.setstate(state)
    assert len(ids) == 200


@pytest.mark.parametrize(
    "state",
    [
        b"vendor=1",
        b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
        b"fw529a3039@dt=FfAAAABR, a=b,\tc=d e",
        b"1a=2,,b=c, ",
        ",".join(f"k{number}=v" for number in range(32)).encode(),
        b"k=" + b"v" * 256,
    ],
)
def test_a_tracestate_passes_as_it_came(state: bytes) -> None:
    """Members of others are none of our business, their spaces and empty places included."""
    assert begin(PARENT, state).state == state


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b" , ",
        b"novalue",
        b"=v",
        b"k=",
        b"K=v",
        b"k=v=w",
        b"k=caf\xc3\xa9",
        b"k=v\r\nx: y",
        b"k=" + b"v" * 257,
        b"k" * 257 + b"=v",
        b"t@" + b"s" * 15 + b"=v",
        ",".join(f"k{number}=v" for number in range(33)).encode(),
    ],
)
def test_a_tracestate_that_does_not_conform_is_dropped(state: bytes) -> None:
    """The trace itself goes on."""
    context = begin(PARENT, state)
    assert context.trace_id == TRACE
    assert context.state is None


def test_a_long_tracestate_loses_long_members_first() -> None:
    """A member above 128 bytes goes before a short one that is further right."""
    long, short = b"long=" + b"v" * 130, [b"k%d=" % number + b"v" * 90 for number in range(5)]
    assert begin(PARENT, b",".join([long, *short])).state == b",".join(short)


def test_a_long_tracestate_loses_members_from_the_right() -> None:
    """The newest are on the left and stay."""
    members = [b"k%d=" % number + b"v" * 100 for number in range(6)]
    assert begin(PARENT, b",".join(members)).state == b",".join(members[:4])


@given(st.lists(st.integers(1, 250), min_size=1, max_size=32))
def test_what_is_carried_conforms_and_fits(lengths: list[int]) -> None:
    """However long a conforming tracestate is, what goes on is a part of it, in order, of at most 512 bytes."""
    members = [b"k%d=" % number + b"v" * length for number, length in enumerate(lengths)]
    carried = begin(PARENT, b",".join(members)).state
    assert carried is not None
    kept = carried.split(b",")
    assert len(carried) <= STATE_BYTES
    assert kept == [member for member in members if member in kept]
    assert begin(PARENT, carried).state == carried
