"""The turns of a conversation as `messages` and `system`.

Instructions stand outside the turns. Cache points are blocks of their own behind what they mark; thoughts go back only
to those who can prove them. Texts without a letter are refused by the API, so they are left out.
"""

from __future__ import annotations

from typing import Final

import msgspec

from llmgw.canonical import (
    CacheMark,
    Chat,
    Json,
    Media,
    Message,
    NativePart,
    Part,
    Refusal,
    Text,
    Thought,
    ToolCall,
    ToolResult,
)
from llmgw.dialects.anthropic.spelling import NAME as ANTHROPIC
from llmgw.dialects.anthropic.spelling import json_object
from llmgw.dialects.bedrock import families, media, tools
from llmgw.dialects.bedrock.cache_point import cache_point
from llmgw.dialects.bedrock.families import Place
from llmgw.dialects.bedrock.spelling import NAME
from llmgw.dialects.bedrock.turns import Block, Turns
from llmgw.dialects.codec import Losses, Recipient
from llmgw.errors import InvalidRequest

_WITHIN_RESULTS: Final = frozenset({"image", "document", "video"})
"""The media that a tool's result may have."""


class History:
    """Writes one conversation.

    Attributes:
        calls: the names of all tools that were called, in order, as they are written.
    """

    def __init__(self, chat: Chat, to: Recipient, losses: Losses) -> None:
        self._chat = chat
        self._own: Final = chat.dialect == NAME
        self._losses = losses
        self._family: Final = families.of(to.model)
        self._media = media.Writer(chat.dialect, to.capabilities, losses)
        self._turns = Turns()
        self.calls = self._turns.calls

    def write(self) -> tuple[list[Block], list[Block]]:
        """The messages and the instructions.

        Raises:
            UnsupportedParameter: through `losses`.
            InvalidRequest: a result without its call, or arguments that are no JSON object.
        """
        instructions = self._blocks(self._chat.system, "system")
        for message in self._chat.messages:
            if message.name is not None:
                self._losses.refuse("message.name", "it does not tell speakers apart by name")
            if not self._own:
                self._losses.refuse_native(message.native, prefix="messages[].")
            if message.role in ("system", "developer"):
                instructions += self._blocks(message.parts, "system", instructions)
            else:
                self._add(message)
        return self._turns.messages(), instructions

    def _add(self, message: Message) -> None:
        role = "assistant" if message.role == "assistant" else "user"
        for part in message.parts:
            if isinstance(part, ToolResult):
                call_id, results = self._turns.answered(part)
                results += self._result(part, call_id)
            elif isinstance(part, ToolCall):
                call_id = self._turns.call(part)
                self._turns.add(role, self._call(part, call_id))
                self._turns.wait(part, call_id)
            else:
                self._turns.add(role, self._blocks((part,), role))

    def _blocks(self, parts: tuple[Part, ...], role: str, before: list[Block] | None = None) -> list[Block]:
        place: Place = "system" if role == "system" else "messages"
        written: list[Block] = []
        for part in parts:
            if isinstance(part, Text):
                written += self._text(part, place, bool(written or before))
            elif isinstance(part, Media):
                block = self._medium(part, role)
                written += [] if block is None else [block, *self._point(part.cache, place)]
            elif isinstance(part, Thought):
                written += self._thought(part)
            elif isinstance(part, Refusal):
                written += [{"text": part.text}] if part.text.strip() else []
            elif isinstance(part, NativePart):
                if part.dialect == NAME:
                    written.append(part.data)
                else:
                    self._losses.refuse_part(part)
            else:
                self._losses.refuse(
                    "part.tool_call", "calls and their results stand in messages of their own"
                )
        return written

    def _text(self, part: Text, place: Place, follows: bool) -> list[Block]:
        if part.signature is not None:
            self._losses.advise("part.thought")
        if not self._own:
            self._losses.refuse_native(part.native, prefix="part.")
        if part.citations:
            self._losses.advise("part.citations")  # where it cites from is the API's own business
        blank = not part.text.strip()
        if blank and not follows:
            return []
        return [*([] if blank else [{"text": part.text}]), *self._point(part.cache, place)]

    def _medium(self, part: Media, role: str) -> Block | None:
        if role != "user":
            self._losses.refuse(f"part.{part.kind}", "only messages of the user may have one")
            return None
        return self._media.write(part)

    def _thought(self, part: Thought) -> list[Block]:
        """Claude proves its thoughts alike wherever it runs (platform.claude.com, "Extended thinking"), and wants
        the proof; other families have none. Encrypted ones are bytes of the host that made them."""
        origin = part.native.get("dialect")
        origin = origin if isinstance(origin, str) else self._chat.dialect
        claude = self._family.claude
        if origin == NAME:
            usable = (
                part.redacted is not None or part.signature is not None or (bool(part.text) and not claude)
            )
        else:
            usable = origin == ANTHROPIC and claude and part.signature is not None and part.redacted is None
        if not usable:
            self._losses.advise("part.thought")
            return []
        blocks: list[Block] = []
        if part.text or part.signature is not None:
            said = {"text": part.text, "signature": part.signature}
            blocks.append(
                {"reasoningContent": {"reasoningText": {k: v for k, v in said.items() if v is not None}}}
            )
        if part.redacted is not None:
            blocks.append({"reasoningContent": {"redactedContent": part.redacted}})
        return blocks

    def _call(self, part: ToolCall, call_id: str) -> list[Block]:
        if part.signature is not None:
            self._losses.advise("part.thought")
        if not self._own:
            self._losses.refuse_native(part.native, prefix="part.")
        if part.custom:
            self._losses.refuse("tool.custom", "its calls are JSON and no free text")
            given: Json = {"input": part.arguments}
        elif json_object(part.arguments) is None:
            raise InvalidRequest(
                f"The arguments of the call of {part.name!r} must be a JSON object.", param="messages"
            )
        else:
            given = msgspec.Raw(part.arguments.encode() or b"{}")
        name = tools.called_name(part.name, self._losses)
        call = {"toolUseId": call_id, "name": name, "input": given, **(part.native if self._own else {})}
        return [{"toolUse": call}, *self._point(part.cache, "messages")]

    def _result(self, part: ToolResult, call_id: str) -> list[Block]:
        if not self._own:
            self._losses.refuse_native(part.native, prefix="part.")
        content: list[Block] = []
        mark = part.cache
        for one in part.parts:
            if isinstance(one, Media) and one.kind not in _WITHIN_RESULTS:
                self._losses.refuse(f"part.{one.kind}", "a tool's result may not have one")
                continue
            marked = getattr(one, "cache", None)
            if marked is not None:
                mark = mark or marked  # within a result there is no place for it
                one = msgspec.structs.replace(one, cache=None)
            content += self._blocks((one,), "user")
        result: Block = {"toolUseId": call_id, "content": content}
        if part.is_error:
            result["status"] = "error"
        return [
            {"toolResult": {**result, **(part.native if self._own else {})}},
            *self._point(mark, "messages"),
        ]

    def _point(self, mark: CacheMark | None, place: Place) -> list[Block]:
        block = None if mark is None else cache_point(mark, self._family, place, self._losses)
        return [] if block is None else [block]
