"""Turns in the order that the Converse API wants.

User and assistant take turns, so neighbours of one role become one; the results of a turn's calls stand together at the
beginning of the user's turn behind it, each under the id of its call; and ids are unique, in the letters and of the
length that the API allows (`ToolUseId` of the service's published model).
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from msgspec import Struct, field

from llmgw.canonical import Json, ToolCall, ToolResult
from llmgw.errors import InvalidRequest

Block = dict[str, Json]

_foreign: Final = re.compile(r"[^a-zA-Z0-9_.:-]").sub
_LONGEST: Final = 64
_KEPT: Final = 40
"""Characters of an id that is too long; what is left is told apart by a digest of the whole."""


class _Turn(Struct):
    """One turn in the making; `results` are of its calls."""

    role: str
    blocks: list[Block] = field(default_factory=list)
    results: list[Block] = field(default_factory=list)


class _Waiting(Struct, frozen=True):
    """A call without a result yet."""

    call: ToolCall
    written: str
    turn: _Turn


class Turns:
    """The turns of one conversation in the making."""

    def __init__(self) -> None:
        self._turns: list[_Turn] = []
        self._waiting: list[_Waiting] = []
        self._ids: set[str] = set()
        self.calls: dict[str, None] = {}
        """Names of all tools called, in order."""

    def add(self, role: str, blocks: list[Block]) -> None:
        """Go on with the turn of `role`, or begin one where the last was another's or has been answered."""
        if not blocks:
            return
        last = self._turns[-1] if self._turns else None
        if last is None or last.role != role or last.results:
            last = _Turn(role)
            self._turns.append(last)
        last.blocks += blocks

    def call(self, part: ToolCall) -> str:
        """The id of a call whose block is added next."""
        wanted = written = fitting(part.id or f"tooluse_{part.name}")
        count = 1
        while written in self._ids:
            count += 1
            written = fitting(f"{wanted}_{count}")
        self._ids.add(written)
        self.calls[part.name] = None
        return written

    def wait(self, part: ToolCall, written: str) -> None:
        """The call, whose block was added last, is to be answered."""
        self._waiting.append(_Waiting(part, written, self._turns[-1]))

    def answered(self, result: ToolResult) -> tuple[str, list[Block]]:
        """The id of the call that `result` answers, and the blocks that its own belong to. It is the call of that
        id, or else the first of that name, calls without an id before those that a later result may still name.

        Raises:
            InvalidRequest: there is no such call.
        """
        if result.call_id is None:
            fits = [one for one in self._waiting if result.name in (None, one.call.name)]
            fits.sort(key=lambda one: one.call.id is not None)
        else:
            fits = [one for one in self._waiting if one.call.id == result.call_id]
        if not fits:
            raise InvalidRequest(
                f"The tool result for {result.call_id or result.name or 'a call'!r} answers no tool call before it.",
                param="messages",
            )
        self._waiting.remove(fits[0])
        return fits[0].written, fits[0].turn.results

    def messages(self) -> list[Block]:
        """All messages in order."""
        messages: list[Block] = []
        results: list[Block] = []
        for turn in self._turns:
            blocks = turn.blocks
            if turn.role == "user":
                blocks, results = results + blocks, []
            elif results:
                messages.append({"role": "user", "content": results})
            messages.append({"role": turn.role, "content": blocks})
            results = turn.results
        if results:
            messages.append({"role": "user", "content": results})
        return messages


def fitting(call_id: str) -> str:
    """An id in the letters and of the length allowed."""
    written = _foreign("_", call_id)
    if len(written) <= _LONGEST:
        return written
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{written[:_KEPT]}_{digest[: _LONGEST - _KEPT - 1]}"
