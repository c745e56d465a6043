"""JSON text in and out of the Converse API, and the members of a union.

A union of this API is an object with exactly one member, whose name says what it is. Streams add a member `p` to
every event: padding of random length against eavesdroppers, which says nothing.
"""

from __future__ import annotations

from typing import Any, Final

from llmgw.dialects import members
from llmgw.dialects.members import Members
from llmgw.errors import UpstreamFailed

NAME: Final = "bedrock"
PADDING: Final = "p"


def answer(body: bytes) -> Members:
    """A provider's answer, or one event of its stream. Raises UpstreamFailed where it is no JSON object."""
    try:
        return members.answer(body)
    except ValueError as error:  # numbers of thousands of digits
        raise UpstreamFailed("The provider's answer is not JSON.", detail=str(error)) from None


def member(of: Members) -> tuple[str, Any] | None:
    """The name and the value of a union's member, not taken out; None where it has none."""
    return next(((name, value) for name, value in of.whole().items() if value is not None), None)


def count(of: Members, name: str) -> int | None:
    """A number of tokens. Raises the fault of whoever wrote it where it is no count."""
    value = of.integer(name)
    if value is not None and value < 0:
        raise of.wrong(name, "a count of tokens")
    return value
