"""Recorded provider exchanges as the bytes a provider would send.

The fixtures keep JSON bodies parsed, so a `style` says how they are written again: `compact`, `pretty`, or
`odd`: legal JSON that any re-encoding would change (white space, escapes, exponents, integers beyond 64
bits, fields no SDK knows). Event streams are replayed as recorded. A checkout without the fixtures has none
of these; `canned.py` holds answers for every endpoint that need no fixture.
"""

from __future__ import annotations

import base64
import functools
import json
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct

FIXTURES: Final = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
FOLDERS: Final = ("dev", "documented_errors", "response_only")

Style = Literal["compact", "pretty", "odd"]

_FRAMING: Final = frozenset({"transfer-encoding", "content-length", "connection", "content-encoding"})


class Answer(Struct, frozen=True):
    """A provider's answer before any framing; header names as the provider writes them."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    streamed: bool = False


class Recording(Struct, frozen=True):
    """One exchange; `request` is what was sent: method, path, headers, body (parsed JSON or None)."""

    id: str
    provider: str
    endpoint: str
    streaming: bool
    features: tuple[str, ...]
    request: dict[str, Any]
    response: dict[str, Any]

    def answer(self, style: Style = "odd") -> Answer:
        """The answer, its plain JSON body written in `style`."""
        response = self.response
        headers = tuple((k, v) for k, v in response["headers"].items() if k.lower() not in _FRAMING)
        if response.get("sse") is not None:
            return Answer(response["status"], headers, response["sse"].encode(), streamed=True)
        if response.get("ndjson") is not None:
            return Answer(response["status"], headers, response["ndjson"].encode(), streamed=True)
        if response.get("aws_eventstream_base64") is not None:
            raw = base64.b64decode(response["aws_eventstream_base64"])
            return Answer(response["status"], headers, raw, streamed=True)
        return Answer(response["status"], headers, write_json(response["body"], style))


@functools.cache
def index() -> dict[str, Path]:
    """Every recording's file by id; empty where the fixtures are absent."""
    return {path.stem: path for folder in FOLDERS for path in sorted((FIXTURES / folder).glob("*.json"))}


@functools.cache
def load(recording_id: str) -> Recording:
    """The recording of that id, or KeyError."""
    raw = json.loads(index()[recording_id].read_bytes())
    return Recording(
        id=raw["id"],
        provider=raw["provider"],
        endpoint=raw["endpoint"],
        streaming=raw["streaming"],
        features=tuple(raw["features"]),
        request=raw["request"],
        response=raw["response"],
    )


def select(
    *,
    provider: str | None = None,
    endpoint: str | None = None,
    streaming: bool | None = None,
) -> list[Recording]:
    """The recordings that match, in order of id."""
    found = (load(recording_id) for recording_id in sorted(index()))
    return [
        recording
        for recording in found
        if (provider is None or recording.provider == provider)
        and (endpoint is None or recording.endpoint == endpoint)
        and (streaming is None or recording.streaming == streaming)
    ]


def write_json(value: Any, style: Style) -> bytes:
    """`value` as JSON text; deterministic, so a test can say byte for byte what a client must receive."""
    if style == "compact":
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    if style == "pretty":
        return json.dumps(value, indent=2).encode() + b"\n"
    if isinstance(value, dict):
        value = {
            **value,
            "x_unknown": {
                "big": 123456789012345678901234567890,
                "small": 1e-07,
                "nil": None,
            },
        }
    return ("\r\n " + _odd(value, 0) + "\t\n").encode()


def _odd(value: Any, depth: int) -> str:
    """JSON with unusual but legal spelling (RFC 8259 sections 2, 6 and 7)."""
    if isinstance(value, dict):
        members = (f"{_odd(k, depth)}{' ' * (depth % 3)}:\t{_odd(v, depth + 1)}" for k, v in value.items())
        return "{" + " ,\n".join(members) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_odd(item, depth + 1) for item in value) + "\n]"
    if isinstance(value, str):
        return json.dumps(value).replace("/", "\\/")
    if isinstance(value, float):
        return f"{value:.17E}"
    return json.dumps(value)
