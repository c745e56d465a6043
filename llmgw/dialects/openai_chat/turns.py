"""The order of messages: the results of a message's calls stand directly behind it, and then what is attached."""

from __future__ import annotations

from msgspec import Struct, field

from llmgw.canonical import Json, ToolCall, ToolResult
from llmgw.dialects.openai_chat.calls import fitting
from llmgw.errors import InvalidRequest

Block = dict[str, Json]


class Turn(Struct):
    """One message, the results of its calls and the user's messages that go with these."""

    message: Block
    results: list[Block] = field(default_factory=list)
    attached: list[Block] = field(default_factory=list)


class Call(Struct, frozen=True):
    """A call that no result has answered yet; `written` is its id in the request."""

    id: str | None
    name: str
    written: str
    turn: Turn


class Turns:
    """The turns of one conversation in the making."""

    def __init__(self) -> None:
        self._turns: list[Turn] = []
        self._open: list[Call] = []
        self._ids: set[str] = set()

    def add(self, message: Block) -> Turn:
        self._turns.append(Turn(message))
        return self._turns[-1]

    def call(self, part: ToolCall, turn: Turn) -> str:
        """Note a call of `turn`; its id, short enough and, where several calls share it, made unique."""
        wanted = call_id = f"call_{len(self._ids)}" if part.id is None else fitting(part.id)
        count = 1
        while call_id in self._ids:
            count += 1
            call_id = fitting(f"{wanted}_{count}")
        self._ids.add(call_id)
        self._open.append(Call(part.id, part.name, call_id, turn))
        return call_id

    def answered(self, result: ToolResult) -> Call:
        """The call that `result` answers: the one of its id, or else the first of its name.

        Raises:
            InvalidRequest: there is none.
        """
        for call in self._open:
            if result.call_id is not None:
                found = call.id == result.call_id
            else:
                found = result.name is None or call.name == result.name
            if found:
                self._open.remove(call)
                return call
        raise InvalidRequest(
            f"The tool result for {result.call_id or result.name or 'a call'!r} answers no tool call before it.",
            param="messages",
        )

    def messages(self) -> list[Block]:
        """All messages in their order."""
        return [one for turn in self._turns for one in (turn.message, *turn.results, *turn.attached)]
