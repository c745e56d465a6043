"""Every way the server can answer, by name; each turns a `Call` into steps. The table stands at the end.

Options, as text, given in the URL or with a script; all behaviours that send the answer understand them:
`recording=ID`, `style=compact|pretty|odd`, `status=N` (an error in the dialect of the path),
`chunking=whole|event|byte|random` with `seed=N`, `framing=auto|chunked|length|close`, `gap_s=S` in between.
"""

from __future__ import annotations

import gzip
import itertools
import random
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast

from msgspec import Struct, structs

from tests.provider import canned, recordings
from tests.provider.recordings import Answer, Style
from tests.provider.steps import Fin, Flood, Gate, Hang, Rst, Send, Step, Wait

_EVENT_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class Call(Struct, frozen=True):
    """What a behaviour may look at. `served` counts the answers given on this connection before."""

    path: str
    request: dict[str, Any]
    options: dict[str, str]
    served: int = 0
    query: str = ""

    @property
    def answer(self) -> Answer:
        """The answer this request deserves: by option, by model name (a recording's id), else canned."""
        style = cast("Style", self.options.get("style", "odd"))
        if "status" in self.options:
            status = int(self.options["status"])
            return canned.failure(self.path, status, f"scripted {status}")
        for name in (self.options.get("recording"), self.request.get("model")):
            if isinstance(name, str) and name in recordings.index():
                return recordings.load(name).answer(style)
        return canned.answer(self.path, self.request, self.query)

    def number(self, name: str, default: float) -> float:
        return float(self.options.get(name, default))


def pieces(body: bytes, chunking: str, seed: int = 0) -> list[bytes]:
    """`body` cut up; joined again it is the same bytes."""
    if not body or chunking == "whole":
        return [body] if body else []
    if chunking == "byte":
        return [body[i : i + 1] for i in range(len(body))]
    if chunking == "event":
        cuts = [match.end() for match in _EVENT_END.finditer(body)]
    elif chunking == "random":
        dice = random.Random(seed)
        cuts = sorted(dice.sample(range(1, len(body)), min(len(body) - 1, max(1, len(body) // 23))))
    else:
        raise ValueError(f"chunking={chunking!r}: whole, event, byte or random")
    edges = [0, *(cut for cut in cuts if cut < len(body)), len(body)]
    return [body[start:stop] for start, stop in itertools.pairwise(edges)]


def head(answer: Answer, *framing: tuple[str, str], version: str = "1.1") -> bytes:
    """Status line and header fields, with the blank line."""
    try:
        reason = HTTPStatus(answer.status).phrase
    except ValueError:
        reason = "Overloaded"
    lines = [f"HTTP/{version} {answer.status} {reason}"]
    lines += [f"{name}: {value}" for name, value in (*answer.headers, *framing)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    """One chunk (RFC 9112 section 7.1)."""
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


def answered(call: Call, answer: Answer | None = None) -> list[Step]:
    """The answer in good order, as the options want it framed and cut."""
    answer = answer or call.answer
    options = call.options
    parts = pieces(
        answer.body,
        options.get("chunking", "event" if answer.streamed else "whole"),
        int(options.get("seed", 0)),
    )
    framing = options.get("framing", "auto")
    if framing == "auto":
        framing = "chunked" if answer.streamed else "length"
    if framing == "chunked":
        start = head(answer, ("Transfer-Encoding", "chunked"))
        parts = [*(chunk(part) for part in parts), chunk(b"")]
    elif framing == "length":
        start = head(answer, ("Content-Length", str(len(answer.body))))
    else:
        start = head(answer, ("Connection", "close"))
    gap_s = call.number("gap_s", 0)
    steps: list[Step] = [Send(start)]
    for part in parts:
        if gap_s:
            steps.append(Wait(gap_s))
        steps.append(Send(part))
    return [*steps, Fin()] if framing == "close" else steps


def wire(call: Call, answer: Answer | None = None) -> bytes:
    """The answer in good order as one run of bytes."""
    return b"".join(step.data for step in answered(call, answer) if isinstance(step, Send))


def _partial(call: Call) -> bytes:
    """The head and the body up to the middle of an event, properly framed so far."""
    answer = call.answer
    middle = max(1, len(answer.body) // 2)
    while answer.streamed and middle > 1 and answer.body[:middle].endswith((b"\n", b"\r")):
        middle -= 1
    if not answer.streamed:
        return head(answer, ("Content-Length", str(len(answer.body)))) + answer.body[:middle]
    parts = pieces(answer.body[:middle], "event")
    return head(answer, ("Transfer-Encoding", "chunked")) + b"".join(chunk(part) for part in parts)


def _in_two(call: Call, between: Step) -> list[Step]:
    """The answer with a step between its first three events (or the head of a plain one) and the rest."""
    steps = answered(call)
    if not call.answer.streamed:
        steps = [Send(wire(call))]
        return [between, *steps]
    return [*steps[:4], between, *steps[4:]]


def _head_of(call: Call) -> list[Step]:
    return [cast("Send", answered(call)[0])]


def _stale(call: Call) -> list[Step]:
    return [Fin()] if call.served else answered(call)


def _plain_body(
    body: bytes, *headers: tuple[str, str], status: int = 200, length: int | None = None
) -> list[Step]:
    size = len(body) if length is None else length
    return [Send(head(Answer(status, headers, b""), ("Content-Length", str(size))) + body)]


def _headers(call: Call) -> list[Step]:
    count = int(call.number("size", 64 * 1024)) // 1024
    extra = tuple((f"x-padding-{n}", "p" * 1008) for n in range(count))
    answer = call.answer
    return answered(call, structs.replace(answer, headers=answer.headers + extra))


def _interim(call: Call) -> list[Step]:
    early = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n"
    return [
        Send(f"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n{early}".encode()),
        *answered(call),
    ]


def _chunked_with(call: Call, extension: bytes, trailer: bytes) -> list[Step]:
    answer = call.answer
    parts = (chunk(part, extension) for part in pieces(answer.body, "event"))
    start = head(answer, ("Transfer-Encoding", "chunked"))
    return [Send(start + b"".join(parts) + b"0" + extension + b"\r\n" + trailer + b"\r\n")]


def _misframed(call: Call, *framing: tuple[str, str]) -> list[Step]:
    return [Send(head(call.answer, *framing) + call.answer.body), Fin()]


def _endless_trailers(call: Call) -> list[Step]:
    start = wire(call, structs.replace(call.answer, streamed=True))[: -len(b"\r\n")]
    return [Send(start), Flood(b"x-padding: " + b"p" * 1000 + b"\r\n")]


def _bad_chunk(call: Call) -> list[Step]:
    return [Send(_partial(call) + b"zz\r\nnot a size\r\n"), Hang()]


def _sized(call: Call, surplus: int) -> list[Step]:
    answer = call.answer
    return [
        Send(head(answer, ("Content-Length", str(len(answer.body) - surplus))) + answer.body),
        Fin(),
    ]


def _http10(call: Call) -> list[Step]:
    return [Send(head(call.answer, version="1.0") + call.answer.body), Fin()]


def _gzip(call: Call) -> list[Step]:
    answer = call.answer
    packed = gzip.compress(answer.body, mtime=0)
    return answered(
        call,
        structs.replace(answer, body=packed, headers=(*answer.headers, ("Content-Encoding", "gzip"))),
    )


def _giant(call: Call) -> list[Step]:
    size = int(call.number("size", 8 * 1024 * 1024))
    body = b"data: " + b"x" * size + b"\n\n"
    return answered(call, Answer(200, (("content-type", "text/event-stream"),), body, streamed=True))


def _endless(call: Call) -> list[Step]:
    start = head(Answer(200, (("content-type", "text/event-stream"),), b""), ("Transfer-Encoding", "chunked"))
    text = "x" * 900
    if "/messages" in call.path:
        delta = {"type": "text_delta", "text": text}
        data = canned.event(
            {"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta"
        )
    else:
        data = canned.event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
    times = int(call.number("times", 0))
    return [Send(start), Flood(chunk(data), times, call.number("gap_s", 0)), Send(chunk(b""))]


HTML: Final = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"

Behaviour = Callable[[Call], list[Step]]

BEHAVIOURS: Final[dict[str, Behaviour]] = {
    "answer": answered,
    # Waiting
    "hang-before-head": lambda call: [Hang()],
    "hang-after-head": lambda call: [*_head_of(call), Hang()],
    "slow-first-byte": lambda call: [
        Wait(call.number("delay_s", 0.2)),
        *answered(call),
    ],
    "slow-head": lambda call: [
        Send(wire(call)[:-1], 1, call.number("gap_s", 0.001)),
        Send(wire(call)[-1:]),
    ],
    "stall": lambda call: _in_two(call, Hang()),
    "gate": lambda call: _in_two(call, Gate(call.options.get("name", "gate"))),
    "drip": lambda call: [Send(wire(call), 1, call.number("gap_s", 0.0))],
    "deaf": lambda call: [Hang(deaf=True)],
    # Breaking off
    "cut-before-head-fin": lambda call: [Fin()],
    "cut-before-head-rst": lambda call: [Rst()],
    "cut-in-head": lambda call: [Send(wire(call)[:25]), Fin()],
    "cut-after-head": lambda call: [*_head_of(call), Fin()],
    "cut-mid-event-fin": lambda call: [Send(_partial(call)), Fin()],
    "cut-mid-event-rst": lambda call: [Send(_partial(call)), Wait(0.05), Rst()],
    "cut-before-last-chunk": lambda call: [*answered(call)[:-1], Fin()],
    # Keep-alive
    "close-after": lambda call: [*answered(call), Fin()],
    "reset-after": lambda call: [*answered(call), Wait(0.05), Rst()],
    "stale": _stale,
    "surplus": lambda call: [
        Send(
            wire(call)
            + b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 6\r\n\r\npoison"
        )
    ],
    # Not what a provider says
    "garbage": lambda call: [Send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 40)],
    "banner": lambda call: [Send(b"SSH-2.0-OpenSSH_9.2p1\r\n"), Fin()],
    "html": lambda call: _plain_body(
        HTML, ("content-type", "text/html"), status=int(call.number("code", 502))
    ),
    "html-200": lambda call: _plain_body(HTML, ("content-type", "text/html")),
    "redirect": lambda call: _plain_body(b"moved", ("location", "http://127.0.0.1:9/elsewhere"), status=302),
    "empty": lambda call: _plain_body(b"", ("content-type", "application/json")),
    "204": lambda call: [Send(b"HTTP/1.1 204 No Content\r\nx-request-id: req_204\r\n\r\n")],
    "304": lambda call: [Send(b'HTTP/1.1 304 Not Modified\r\netag: "e"\r\ncontent-length: 99\r\n\r\n')],
    "switch": lambda call: [
        Send(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n")
    ],
    # Heads
    "huge-headers": _headers,
    "endless-headers": lambda call: [
        Send(b"HTTP/1.1 200 OK\r\n"),
        Flood(b"x-padding: " + b"p" * 1000 + b"\r\n"),
    ],
    "endless-line": lambda call: [
        Send(b"HTTP/1.1 200 OK\r\nx-padding: "),
        Flood(b"p" * 1000),
    ],
    "endless-interim": lambda call: [Flood(b"HTTP/1.1 103 Early Hints\r\nx-n: 1\r\n\r\n")],
    "interim": _interim,
    "no-reason": lambda call: [Send(wire(call).replace(b"200 OK\r\n", b"200\r\n", 1))],
    "bad-header": lambda call: [Send(b"HTTP/1.1 200 OK\r\nno colon here\r\ncontent-length: 2\r\n\r\n{}")],
    "nul-in-header": lambda call: [Send(b"HTTP/1.1 200 OK\r\nx-a: b\x00c\r\ncontent-length: 2\r\n\r\n{}")],
    # Framing
    "length-short": lambda call: _sized(call, 5),
    "length-long": lambda call: _sized(call, -5),
    "length-conflict": lambda call: _misframed(call, ("Content-Length", "5"), ("Content-Length", "6")),
    "length-bad": lambda call: _misframed(call, ("Content-Length", "five")),
    "length-negative": lambda call: _misframed(call, ("Content-Length", "-5")),
    "length-and-chunked": lambda call: _misframed(
        call, ("Content-Length", "5"), ("Transfer-Encoding", "chunked")
    ),
    "bad-chunk-size": _bad_chunk,
    "chunk-extensions": lambda call: _chunked_with(call, b';sig="a;b"', b""),
    "trailers": lambda call: _chunked_with(call, b"", b"x-checksum: abc\r\nx-other: def\r\n"),
    "endless-trailers": _endless_trailers,
    "http10-close": _http10,
    "gzip": _gzip,
    # Streams
    "giant-event": _giant,
    "endless": _endless,
    # Before the request's body has been read
    "early-answer": lambda call: [*answered(call), Fin()],
    "early-rst": lambda call: [Rst()],
}

EARLY: Final = frozenset({"early-answer", "early-rst", "deaf"})
"""Behaviours that act on the head and do not read the request's body first."""
