"""The turns of a conversation as `messages` and `system`.

An Anthropic client's turns are written as they are. Those of others are brought into the order the API wants
(platform.claude.com, "Tool use", "Using the Messages API"): instructions outside the turns, user and assistant in
turns, each tool result at the beginning of the user's turn that follows its call, no blank texts, and ids of calls
that are unique and in the letters allowed.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from llmgw.canonical import (
    Chat,
    Json,
    Media,
    Message,
    Part,
    Refusal,
    Text,
    Thought,
    ToolCall,
    ToolResult,
)
from llmgw.dialects.anthropic import block_writer, media
from llmgw.dialects.anthropic.block_reader import RequestMark
from llmgw.dialects.anthropic.spelling import NAME
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.origin import origin_of
from llmgw.errors import InvalidRequest

Block = dict[str, Json]


_ROLES: Final = {"tool": "user", "developer": "system"}


class _Turn(Struct):
    """One turn in the making; `results` are of its calls and open the turn after it."""

    role: str
    blocks: list[Block] = field(default_factory=list)
    results: list[Block] = field(default_factory=list)


class _Call(Struct, frozen=True):
    """A call that no result has answered yet."""

    id: str | None
    name: str
    written: str
    turn: _Turn


class History:
    """Writes one conversation."""

    def __init__(self, chat: Chat, to: Recipient, losses: Losses) -> None:
        self._chat = chat
        self._own: Final = chat.dialect == NAME
        self._capabilities = to.capabilities
        self._losses = losses
        self._turns: list[_Turn] = []
        self._open: list[_Call] = []
        self._ids: set[str] = set()

    def write(self) -> tuple[list[Block], Json]:
        """The messages, and the instructions (None where there are none).

        Raises:
            UnsupportedParameter: through `losses`.
            InvalidRequest: a result without its call, or arguments that are no JSON object.
        """
        instructions = self._blocks(self._chat.system, "system")
        if self._own:
            return self._as_they_are(), _string_or_blocks(instructions)
        for message in self._chat.messages:
            if message.name is not None:
                self._losses.refuse("message.name", "it does not tell speakers apart by name")
            self._losses.refuse_native(message.native, prefix="messages[].")
            if message.role in ("system", "developer"):
                instructions += self._blocks(message.parts, "system")
            else:
                self._add(message)
        return self._in_order(), _string_or_blocks(instructions)

    def _as_they_are(self) -> list[Block]:
        messages = []
        for message in self._chat.messages:
            blocks = self._blocks(message.parts, message.role)
            if blocks or not message.parts:
                content = _string_or_blocks(blocks)
                messages.append(
                    {
                        "role": _ROLES.get(message.role, message.role),
                        "content": [] if content is None else content,
                        **message.native,
                    }
                )
        return messages

    # Other clients' turns

    def _add(self, message: Message) -> None:
        role = "assistant" if message.role == "assistant" else "user"
        for part in message.parts:
            if isinstance(part, ToolResult):
                call = self._answered(part)
                call.turn.results.append(self._result(part, call.written))
                continue
            blocks = self._blocks((part,), role)
            if not blocks:
                continue
            turn = self._turn(role)
            turn.blocks += blocks
            if isinstance(part, ToolCall):
                self._open.append(_Call(part.id, part.name, blocks[0]["id"], turn))

    def _turn(self, role: str) -> _Turn:
        """The turn to go on with: the last one, unless it was another's or has been answered."""
        if not self._turns or self._turns[-1].role != role or self._turns[-1].results:
            self._turns.append(_Turn(role))
        return self._turns[-1]

    def _answered(self, result: ToolResult) -> _Call:
        """The call that `result` answers: the one of its id, or else the first of its name, those without an id
        before those that a result may still name."""
        if result.call_id is not None:
            found = [call for call in self._open if call.id == result.call_id]
        else:
            found = [call for call in self._open if result.name in (None, call.name)]
            found.sort(key=lambda call: call.id is not None)
        if found:
            self._open.remove(found[0])
            return found[0]
        raise InvalidRequest(
            f"The tool result for {result.call_id or result.name or 'a call'!r} answers no tool call before it.",
            param="messages",
        )

    def _in_order(self) -> list[Block]:
        messages: list[Block] = []
        results: list[Block] = []
        for turn in self._turns:
            blocks = turn.blocks
            if turn.role == "user":
                blocks, results = results + blocks, []
            elif results:
                messages.append({"role": "user", "content": results})
            messages.append({"role": turn.role, "content": _string_or_blocks(blocks)})
            results = turn.results
        if results:
            messages.append({"role": "user", "content": results})
        return messages

    # Parts

    def _blocks(self, parts: tuple[Part, ...], role: str) -> list[Block]:
        written: list[Block] = []
        for part in parts:
            if isinstance(part, Text):
                written += self._text(part)
            elif isinstance(part, Media):
                written += self._media(part, role)
            elif isinstance(part, ToolCall):
                written.append(self._call(part))
            elif isinstance(part, ToolResult):
                written.append(self._result(part, part.call_id or ""))
            elif isinstance(part, Thought):
                written += self._thought(part)
            elif isinstance(part, Refusal):
                written += [{"type": "text", "text": part.text}] if part.text.strip() else []
            elif part.dialect == NAME:
                written.append(part.data)
            else:
                self._losses.refuse_part(part)
        return written

    def _text(self, part: Text) -> list[Block]:
        if part.signature is not None:
            self._losses.advise("part.thought")
        if not self._own:
            self._losses.refuse_native(part.native, prefix="part.")
        if not part.text.strip() and (not self._own or part.signature is not None):
            return []  # refused by the API
        block = block_writer.text(part, self._own)
        citations = [dict(one.native) for one in part.citations if self._own and one.native]
        if citations:
            block["citations"] = citations
        if len(citations) < len(part.citations):
            self._losses.advise("part.citations")  # where it cites from is the API's own business
        return [self._marked(part, block)]

    def _media(self, part: Media, role: str) -> list[Block]:
        if not self._own:
            self._losses.refuse_native(part.native, prefix="part.")
            if role != "user":
                self._losses.refuse(f"part.{part.kind}", "only messages of the user may have one")
                return []
        block = media.write(part, self._own, self._capabilities, self._losses)
        return [] if block is None else [self._marked(part, block)]

    def _thought(self, part: Thought) -> list[Block]:
        unsigned = part.signature is None and part.redacted is None
        if origin_of(part, self._chat.dialect) != NAME or (unsigned and not self._own):
            self._losses.advise("part.thought")  # nobody but its own provider can use it
            return []
        return block_writer.thought(part, self._chat.dialect)

    def _call(self, part: ToolCall) -> Block:
        if part.signature is not None:
            self._losses.advise("part.thought")
        if not self._own:
            self._losses.refuse_native(part.native, prefix="part.")
        if part.custom:
            self._losses.refuse("tool.custom", "its calls are JSON and no free text")
            given: Json = {"input": part.arguments}
        else:
            given = block_writer.arguments(part.arguments)
            if given is None:
                raise InvalidRequest(
                    f"The arguments of the call of {part.name!r} must be a JSON object.", param="messages"
                )
        call_id = self._id(part)
        block = {"type": "tool_use", "id": call_id, "name": part.name, "input": given}
        return self._marked(part, {**block, **block_writer.said(part.native, self._own)})

    def _id(self, part: ToolCall) -> str:
        """The call's id; another client's is made to fit, and made unique where calls of several turns share it."""
        if self._own:
            return part.id or ""
        wanted = call_id = (
            "toolu_" + block_writer.call_id(part.name) if part.id is None else block_writer.call_id(part.id)
        )
        count = 1
        while call_id in self._ids:
            count += 1
            call_id = f"{wanted}_{count}"
        self._ids.add(call_id)
        return call_id

    def _result(self, part: ToolResult, call_id: str) -> Block:
        if not self._own:
            self._losses.refuse_native(part.native, prefix="part.")
        block: Block = {"type": "tool_result", "tool_use_id": call_id}
        content = _string_or_blocks(self._blocks(part.parts, "user"))
        if content is not None:
            block["content"] = content
        if part.is_error:
            block["is_error"] = True
        return self._marked(part, {**block, **(part.native if self._own else {})})

    def _marked(self, part: Text | Media | ToolCall | ToolResult, block: Block) -> Block:
        if part.cache is not None and not isinstance(part.cache, RequestMark):
            block["cache_control"] = block_writer.cache_control(part.cache)
        return block


def _string_or_blocks(blocks: list[Block]) -> Json:
    """Content as short as it can be said; None where there is none."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and blocks[0]["type"] == "text":
        return blocks[0]["text"]
    return blocks or None
