"""A request body as the gateway needs it: which model, streamed or not, and every other byte untouched.

One C pass splits the top-level object into raw member values without building them. Joined up again, `{` key
`:` value `,` … `}`, the members must give back the very bytes that came: then they are the whole body, and no
key stands there twice. That matters beyond tidiness: with a duplicate `model` the gateway could check one
value while the provider uses the other. A request is patched by joining with another `model` value, so
nothing is ever encoded anew.

Nearly every client writes one of two spacings; any other one, and escaped keys, take the member-by-member walk.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from llmgw.errors import InvalidRequest

_decode: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_any: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.encode
_SPACINGS: Final = ((b'{"', b'":', b',"', b"}"), (b'{"', b'": ', b', "', b"}"))
"""Opening, after a key, between members, closing: JSON.stringify and httpx; Python's json.dumps."""
_KEY: Final = rb'[ \t\n\r]*"((?:[^"\\]|\\.)*)"[ \t\n\r]*:[ \t\n\r]*'
_first_member: Final = re.compile(rb"[ \t\n\r]*\{" + _KEY).match
_next_member: Final = re.compile(rb"[ \t\n\r]*," + _KEY).match
_end: Final = re.compile(rb"[ \t\n\r]*\}[ \t\n\r]*").fullmatch

_FIRST_BYTES: Final = {
    "a string": b'"',
    "an array": b"[",
    "an object": b"{",
    "a boolean": b"tf",
    "a number": b"-0123456789",
    "null": b"n",
}
"""First bytes of a JSON value, by the type's name (RFC 8259 section 3)."""


class FieldType:
    """The JSON types a field may have, by the names `a string`, `an array`, `an object`, `a boolean`,
    `a number`, `null`."""

    __slots__ = ("first_bytes", "names")

    def __init__(self, *names: str) -> None:
        self.names = names
        self.first_bytes = b"".join(_FIRST_BYTES[name] for name in names)


class Body:
    """A client's request body, read once."""

    __slots__ = ("_model_at", "_parts", "_stream_options", "model", "raw", "stream")

    def __init__(
        self,
        raw: bytes,
        parts: list[bytes | msgspec.Raw],
        model_at: int,
        model: str,
        stream: bool,
        stream_options: msgspec.Raw | None = None,
    ) -> None:
        self.raw = raw
        self._parts = parts
        self._model_at = model_at
        self.model = model
        self.stream = stream
        self._stream_options = stream_options

    def asks_for_usage(self) -> bool:
        """Whether the client wants the usage at the end of a stream (OpenAI, `stream_options`)."""
        options = None if self._stream_options is None else _decode_any(self._stream_options)
        return isinstance(options, dict) and options.get("include_usage") is True

    def with_model(self, model: str) -> bytes:
        """The body with the `model` value replaced; the very same bytes where it already says so, and where
        the API has the model in its URL."""
        if model == self.model or not self._parts:
            return self.raw
        self._parts[self._model_at] = msgspec.json.encode(model)
        return b"".join(self._parts)


def read(raw: bytes, types: Mapping[str, FieldType]) -> Body:
    """Read a request body that names its model.

    Args:
        raw: the bytes as the client sent them.
        types: what is known of the endpoint's fields; an absent field is the provider's to judge.

    Raises:
        InvalidRequest: not one JSON object in UTF-8, a top-level key twice, nested too deeply, no model,
            or a field of the wrong type.
    """
    members = _members(raw)
    if "model" not in members:
        raise InvalidRequest("The field 'model' is missing; name the model to use.", param="model")

    parts, model_at = _join(raw, members, types) or _walk(raw, members)
    model = _decode_any(members["model"])
    if not isinstance(model, str) or not model:
        raise InvalidRequest("The field 'model' must be a non-empty string.", param="model")
    stream = members.get("stream")
    streams = stream is not None and memoryview(stream)[0] == _TRUE
    return Body(raw, parts, model_at, model, streams, members.get("stream_options") if streams else None)


def ask_for_usage(body: bytes) -> bytes:
    """A request body that has the provider report usage at the end of its stream; all else as it stands."""
    members = _decode(body)
    given = members.get("stream_options")
    options = _decode_any(given) if given is not None else None
    if not isinstance(options, dict):
        options = {}
    written = msgspec.json.encode({**options, "include_usage": True})
    if given is None:
        end = body.rindex(b"}")  # there is a member before it: the model
        return b"".join((body[:end], b',"stream_options":', written, body[end:]))
    _, start, end = _places(body, members)["stream_options"]
    return b"".join((body[:start], written, body[end:]))


def edited(body: bytes, removes: str | None, adds: Mapping[str, str]) -> bytes:
    """A request body without one member and with others that it does not have yet; every other byte as it stands.

    Args:
        body: one JSON object, no key twice.
        removes: the member's name; it need not be there.
    """
    members = _decode(body)
    names = list(members)
    if removes in members:
        places = _places(body, members)
        at = names.index(removes)
        names.remove(removes)
        if at:
            start, end = places[list(members)[at - 1]].end, places[removes].end
        else:
            start, end = places[removes].key, places[names[0]].key if names else places[removes].end
        body = body[:start] + body[end:]
    end = body.rindex(b"}")
    pieces = [body[:end]]
    for name, value in adds.items():
        if name not in members:
            pieces.append(b"%s%s:%s" % (b"," if names else b"", _encode(name), _encode(value)))
            names.append(name)
    return b"".join((*pieces, body[end:]))


def read_nameless(raw: bytes, types: Mapping[str, FieldType], model: str, stream: bool) -> Body:
    """Read a request body whose model, and whether it streams, stand in the URL.

    Raises:
        InvalidRequest: as `read`, but for the model.
    """
    members = _members(raw)
    if _join(raw, members, types) is None:
        _walk(raw, members)
    return Body(raw, [], 0, model, stream)


def _members(raw: bytes) -> dict[str, msgspec.Raw]:
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"The request body is not valid UTF-8 (byte {error.start}).") from None
    try:
        return _decode(raw)
    except msgspec.ValidationError:
        raise InvalidRequest("The request body must be a JSON object.") from None
    except msgspec.DecodeError as error:
        raise InvalidRequest(_malformed(raw, error)) from None
    except RecursionError:
        raise InvalidRequest(
            "The request body is nested too deeply; send at most about 1,000 levels."
        ) from None


_TRUE: Final = ord("t")


def _join(
    raw: bytes, members: dict[str, msgspec.Raw], types: Mapping[str, FieldType]
) -> tuple[list[bytes | msgspec.Raw], int] | None:
    """The parts of a body in one of the common spacings, and where among them the model's value is; None where
    it has another. Checks the types of the fields on the way."""
    # The first colon of the text is the one behind the first key, unless the key itself holds one.
    separator, after_key, between, closing = _SPACINGS[raw.find(b'": ', 0, 80) >= 0]
    parts: list[bytes | msgspec.Raw] = []
    model_at = 0
    for name, value in members.items():
        field = types.get(name)
        if field is not None and memoryview(value)[0] not in field.first_bytes:
            raise InvalidRequest(f"The field {name!r} must be {' or '.join(field.names)}.", param=name)
        parts += (separator, name.encode(), after_key, value)
        separator = between
        if name == "model":
            model_at = len(parts) - 1
    parts.append(closing)
    return (parts, model_at) if b"".join(parts) == raw else None


def _walk(raw: bytes, members: dict[str, msgspec.Raw]) -> tuple[list[bytes | msgspec.Raw], int]:
    """The same for a body in any spacing, member by member; InvalidRequest where a key stands twice."""
    _, start, end = _places(raw, members).get("model", _NOWHERE)
    return [raw[:start], raw[start:end], raw[end:]], 1


class _Place(NamedTuple):
    """Where a member's key begins, its value begins, and its value ends."""

    key: int
    value: int
    end: int


_NOWHERE: Final = _Place(0, 0, 0)


def _places(raw: bytes, members: dict[str, msgspec.Raw]) -> dict[str, _Place]:
    """Where each member stands."""
    places: dict[str, _Place] = {}
    position = 0
    find = _first_member
    for name, value in members.items():
        content = bytes(value)
        match = find(raw, position)
        at = match.end() if match is not None else 0
        position = at + len(content)
        if match is None or raw[at:position] != content or not _same_key(match[1], name):
            raise _duplicate(raw)
        places[name] = _Place(match.start(1) - 1, at, position)
        find = _next_member
    if _end(raw, position) is None:
        raise _duplicate(raw)
    return places


def _same_key(written: bytes, name: str) -> bool:
    if b"\\" in written:
        return bool(_decode_any(b'"' + written + b'"') == name)
    return written == name.encode()


def _malformed(raw: bytes, error: msgspec.DecodeError) -> str:
    if not raw.strip():
        return "The request body is empty; send a JSON object."
    return f"The request body is not valid JSON: {error}."


def _duplicate(raw: bytes) -> InvalidRequest:
    """The refusal that names the repeated key; slow, and reached only to explain."""
    members: list[tuple[str, object]] = []

    def keep(pairs: list[tuple[str, object]]) -> None:
        members[:] = pairs  # objects close inside out: the last one kept is the top level

    json.loads(raw, object_pairs_hook=keep)
    counts = Counter(name for name, _ in members)
    names = ", ".join(repr(name) for name, count in counts.items() if count > 1)
    return InvalidRequest(f"The request body has {names} more than once; send each key once.")
