"""How Google's JSON may be spelled, and where the original spelling is kept.

Protocol buffers in JSON (protobuf.dev, "ProtoJSON format") accept a field under its lowerCamelCase name and under
its snake_case one; Google's own clients use both, and a list of one element may be given without its brackets.
`Fields` reads all of that.
"""

from __future__ import annotations

from typing import Final

import msgspec

from llmgw.canonical import Json
from llmgw.dialects import members
from llmgw.dialects.members import Fault, Members
from llmgw.dialects.words import Words
from llmgw.errors import CallError, InvalidRequest, UpstreamFailed

NAME: Final = "gemini"

_words: Final = Words(NAME)
keep: Final = _words.keep
words_of: Final = _words.of


def camel(name: str) -> str:
    """`inline_data` as `inlineData`; other names unchanged."""
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest) if head and rest else name


class Fields(Members):
    """The members of one message of Google's API under their lowerCamelCase names."""

    __slots__ = ()

    def __init__(self, data: dict[str, Json], path: str, fault: Fault) -> None:
        for name in [name for name in data if "_" in name]:
            value = data.pop(name)
            if camel(name) in data:
                raise fault(f"{path}.{camel(name)}" if path else camel(name), "given once")
            data[camel(name)] = value
        super().__init__(data, path, fault)

    def fields(self, name: str) -> Fields | None:
        """The member `name`, one message; None where it is absent."""
        value = self.any(name)
        if value is None:
            return None
        if type(value) is dict:
            return Fields(value, self.path(name), self._fault)
        raise self.wrong(name, "an object")

    def every(self, name: str) -> list[Fields]:
        """The member `name`, a list of messages or a single one; empty where it is absent."""
        values = self.any(name)
        if values is None:
            return []
        if type(values) is dict:
            values = [values]
        if type(values) is not list:
            raise self.wrong(name, "an array")
        found = []
        for index, value in enumerate(values):
            if type(value) is not dict:
                raise self._fault(f"{self.path(name)}[{index}]", "an object")
            found.append(Fields(value, f"{self.path(name)}[{index}]", self._fault))
        return found

    def strings(self, name: str) -> tuple[str, ...]:
        """The member `name`, a list of strings or a single one; empty where it is absent."""
        value = self.any(name)
        if value is None:
            return ()
        values = [value] if type(value) is str else value
        if type(values) is not list or any(type(one) is not str for one in values):
            raise self.wrong(name, "an array of strings")
        return tuple(values)

    @property
    def fault(self) -> Fault:
        """What makes the error for a wrong member."""
        return self._fault

    @property
    def of_provider(self) -> bool:
        """Whether a provider wrote this."""
        return self._fault is members.of_provider


def request(body: bytes) -> Fields:
    """A client's request body. Raises InvalidRequest where it is no JSON object."""
    return Fields(members.request(body).whole(), "", members.of_client)


def answer(body: bytes) -> Fields:
    """A provider's answer. Raises UpstreamFailed where it is no JSON object."""
    return Fields(members.answer_object(body), "", members.of_provider)


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


def json_text(value: Json, error: type[CallError]) -> str:
    """A JSON value as text."""
    try:
        return _encode(value).decode()
    except (RecursionError, UnicodeEncodeError, OverflowError):
        raise error("The content is nested too deeply, or is no text.") from None


def json_object(text: str) -> msgspec.Raw | None:
    """`text` as it is, to be written as JSON, where it is one JSON object; else None."""
    if not text.lstrip(" \t\r\n").startswith("{"):
        return None
    try:
        encoded = text.encode()
        return msgspec.Raw(encoded) if type(_decode(encoded)) is dict else None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


REQUEST: Final = InvalidRequest
ANSWER: Final = UpstreamFailed
