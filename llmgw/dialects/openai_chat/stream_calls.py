"""Tool calls of one choice of a stream, put in order: which call a delta belongs to.

OpenAI numbers calls and gives id and name once. Mistral sends a call whole and may leave out its number; Gemini's
compatible endpoint gives all of them the same; some hosts repeat id and name with each delta.
"""

from __future__ import annotations

from typing import Any

from llmgw.canonical import ToolDelta
from llmgw.dialects.members import Members, of_provider
from llmgw.dialects.openai_chat import calls
from llmgw.dialects.openai_chat.spelling import decoded
from llmgw.errors import UpstreamFailed


class _Call:
    """One call; `block` is None until its name is known."""

    __slots__ = ("arguments", "block", "custom", "held", "id", "name")

    def __init__(self, call_id: str | None, custom: bool) -> None:
        self.id = call_id
        self.custom = custom
        self.name: str | None = None
        self.block: int | None = None
        self.held = ""
        self.arguments: list[str] = []


class Calls:
    """The calls of one choice. Memory: their arguments."""

    __slots__ = ("_all", "_by_index")

    def __init__(self) -> None:
        self._all: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._all)

    def delta(self, said: dict[str, Any], path: str, choice: int, next_block: int) -> ToolDelta | None:
        """The event for one entry of `tool_calls`; None where it says nothing yet.

        Args:
            next_block: the number of the block that would be opened.

        Raises:
            UpstreamFailed: it is no such entry.
        """
        of = Members(dict(said), path, of_provider)
        custom = said.get("type") == "custom" or ("custom" in said and "function" not in said)
        kind, member = ("custom", "input") if custom else ("function", "arguments")
        inner = of.object(kind)
        call_id, index = of.text("id") or None, of.integer("index")
        name = text = None
        if inner is not None:
            inner = Members(dict(inner.whole()), f"{path}.{kind}", of_provider)
            name, text = inner.text("name") or None, calls.arguments(inner, member)
        signature = calls.signature_of(said.get("extra_content"))
        call = self._find(index, call_id, name, text or "", custom)
        if call is None:
            raise of.wrong("index", "the number of a call")
        if text:
            call.arguments.append(text)
        if call.block is not None:
            if not text and signature is None:
                return None
            return ToolDelta(
                arguments=text or "",
                choice=choice,
                block=call.block,
                custom=call.custom,
                signature=signature,
            )
        call.held += text or ""
        call.name = name
        if name is None:
            return None
        call.block = next_block
        return ToolDelta(
            arguments=call.held,
            choice=choice,
            block=next_block,
            id=call.id,
            name=name,
            custom=custom,
            signature=signature,
        )

    def _find(
        self, index: int | None, call_id: str | None, name: str | None, text: str, custom: bool
    ) -> _Call | None:
        found: _Call | None
        if index is not None:
            found = self._by_index.get(index)
        elif call_id is not None:
            found = next((call for call in self._all if call.id == call_id), None)
        else:
            found = self._all[-1] if self._all and name is None else None
            if found is None and name is None:
                return None
        if found is None or _is_another(found, call_id, name, text):
            found = _Call(call_id, custom)
            self._all.append(found)
            if index is not None:
                self._by_index[index] = found
        elif found.id is None:
            found.id = call_id
        return found

    def close(self, choice: int, last_block: int) -> ToolDelta | None:
        """The arguments of the call that came last, where it has none.

        Raises:
            UpstreamFailed: a call was never named.
        """
        for call in self._all:
            if call.block is None:
                raise UpstreamFailed("The provider's stream has a tool call without a name.")
        last = self._all[-1] if self._all else None
        if last is None or last.block != last_block or last.custom or "".join(last.arguments).strip():
            return None
        last.arguments.append("{}")
        return ToolDelta(arguments="{}", choice=choice, block=last_block)


def _is_another(call: _Call, call_id: str | None, name: str | None, text: str) -> bool:
    """Whether a delta under the number of `call` begins another one."""
    if name is None or call.name is None:
        return False
    if call_id is not None and call.id is not None:
        return call_id != call.id
    return bool(text) and type(decoded("".join(call.arguments))) is dict
