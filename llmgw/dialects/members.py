"""Reading JSON objects member by member, so that what no reader knew is left over and cannot get lost.

A reader takes the members it knows, each checked for its type; `rest` is what remains and becomes `native`.
Null is the same as absent. A wrong type raises the error of whoever wrote the JSON: a client's names the field,
a provider's says that its answer is no such answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from llmgw.canonical import NOTHING, Json, Native
from llmgw.errors import CallError, InvalidRequest, UpstreamFailed

Fault = Callable[[str, str], CallError]
"""Makes the error for the member at a path from what it must be ("a string")."""

_decode: Final = msgspec.json.Decoder().decode


def of_client(path: str, must: str) -> CallError:
    """The fault of a client's request."""
    return InvalidRequest(f"The field {path!r} must be {must}.", param=path)


def of_provider(path: str, must: str) -> CallError:
    """The fault of a provider's answer."""
    return UpstreamFailed(f"The provider's answer is not valid: {path!r} must be {must}.")


def request(body: bytes) -> Members:
    """A client's request body. Raises InvalidRequest where it is no JSON object."""
    try:
        data = _decode(body)
    except (ValueError, RecursionError) as error:  # no UTF-8, numbers of thousands of digits
        raise InvalidRequest(f"The request body is not valid JSON: {error}.") from None
    if not isinstance(data, dict):
        raise InvalidRequest("The request body must be a JSON object.")
    return Members(data, "", of_client)


def answer(body: bytes) -> Members:
    """A provider's answer or one event of it. Raises UpstreamFailed where it is no JSON object."""
    return Members(answer_object(body), "", of_provider)


def answer_object(body: bytes) -> dict[str, Any]:
    """The same as it is, for readers of streams that are too quick for members."""
    try:
        data = _decode(body)
    except (ValueError, RecursionError) as error:
        shown = body[:200].decode("utf-8", "replace")
        raise UpstreamFailed("The provider's answer is not JSON.", detail=f"{error}: {shown}") from None
    if type(data) is not dict:
        raise UpstreamFailed("The provider's answer is not a JSON object.")
    return data


class Members:
    """The members of one object; each method takes one out and returns None where it is absent or null."""

    __slots__ = ("_fault", "_left", "_path")

    def __init__(self, data: dict[str, Any], path: str, fault: Fault) -> None:
        """`data` is emptied as members are taken; `path` is where it stands ("" for the top level)."""
        self._left = data
        self._path = path
        self._fault = fault

    def __contains__(self, name: str) -> bool:
        return self._left.get(name) is not None

    def path(self, name: str) -> str:
        """Where the member `name` stands: `messages[0].content`."""
        return f"{self._path}.{name}" if self._path else name

    def wrong(self, name: str, must: str) -> CallError:
        """The error for a member that is not what it must be."""
        return self._fault(self.path(name), must)

    def any(self, name: str) -> Json:
        """The value, whatever it is."""
        return self._left.pop(name, None)

    def text(self, name: str) -> str | None:
        value = self._left.pop(name, None)
        if value is None or type(value) is str:
            return value
        raise self.wrong(name, "a string")

    def flag(self, name: str) -> bool | None:
        value = self._left.pop(name, None)
        if value is None or type(value) is bool:
            return value
        raise self.wrong(name, "a boolean")

    def integer(self, name: str) -> int | None:
        """A whole number; 40.0 is one too (JSON has one kind of number)."""
        value = self._left.pop(name, None)
        if value is None or type(value) is int:
            return value
        if type(value) is float and value.is_integer():
            return int(value)
        raise self.wrong(name, "a whole number")

    def number(self, name: str) -> float | None:
        value = self._left.pop(name, None)
        if value is None or type(value) is float or type(value) is int:
            return value
        raise self.wrong(name, "a number")

    def array(self, name: str) -> list[Json] | None:
        value = self._left.pop(name, None)
        if value is None or type(value) is list:
            return value
        raise self.wrong(name, "an array")

    def texts(self, name: str) -> tuple[str, ...]:
        """An array of strings; empty where absent."""
        values = self.array(name) or ()
        for value in values:
            if type(value) is not str:
                raise self.wrong(name, "an array of strings")
        return tuple(values)

    def object(self, name: str) -> Members | None:
        value = self._left.pop(name, None)
        if value is None:
            return None
        if type(value) is dict:
            return Members(value, self.path(name), self._fault)
        raise self.wrong(name, "an object")

    def objects(self, name: str) -> list[Members]:
        """An array of objects; empty where absent."""
        members = []
        for index, value in enumerate(self.array(name) or ()):
            if type(value) is not dict:
                raise self._fault(f"{self.path(name)}[{index}]", "an object")
            members.append(Members(value, f"{self.path(name)}[{index}]", self._fault))
        return members

    def need_text(self, name: str) -> str:
        """A string that must be there."""
        value = self.text(name)
        if value is None:
            raise self.wrong(name, "a string")
        return value

    def whole(self) -> dict[str, Json]:
        """The object as it stands, nothing taken out: for what is passed through whole."""
        return self._left

    def rest(self) -> Native:
        """What nobody took, nulls left out."""
        left = {name: value for name, value in self._left.items() if value is not None}
        return left or NOTHING
