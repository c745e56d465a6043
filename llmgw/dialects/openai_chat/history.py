"""The turns of a conversation as `messages`.

A client of this API has its turns written as they are. Those of others are brought into the order the API wants
(platform.openai.com, "Function calling"): the results of a message's calls directly behind it, one message each. A
result takes text only, so its images and files follow in a message of the user's; that a tool failed is said in
front of its words. Ids of calls are made unique and short enough.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from llmgw.canonical import (
    Chat,
    Json,
    Media,
    Message,
    Native,
    NativePart,
    Part,
    Refusal,
    Text,
    Thought,
    ToolCall,
    ToolResult,
)
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.openai_chat import assistant, calls, content, media, thoughts
from llmgw.dialects.openai_chat.spelling import NAME, words_of
from llmgw.dialects.openai_chat.turns import Block, Turn, Turns
from llmgw.dialects.origin import origin_of

FAILED: Final = "Error: "
"""Stands before the words of a tool that failed, for a result has no other place for that."""


class History:
    """Writes one conversation."""

    def __init__(self, chat: Chat, to: Recipient, losses: Losses) -> None:
        self._chat = chat
        self._own: Final = chat.dialect == NAME
        self._host = to.host
        self._losses = losses
        self._media = media.Blocks(chat.dialect, to.capabilities, to.host.renamed, losses)
        self._turns = Turns()

    def write(self) -> list[Block]:
        """The messages.

        Raises:
            UnsupportedParameter: through `losses`.
            InvalidRequest: a result without its call.
        """
        if self._chat.system:
            self._turns.add(self._plain("system", self._chat.system))
        for message in self._chat.messages:
            if self._own:
                for one in self._as_it_is(message):
                    self._turns.add(one)
            else:
                self._losses.refuse_native(message.native, prefix="messages[].")
                self._add(message)
        return self._turns.messages()

    # A message of this API's own client

    def _as_it_is(self, message: Message) -> list[Block]:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        if results:
            return [self._own_result(part, message.native) for part in results]
        is_answer = message.role == "assistant"
        written = self._own_answer(message) if is_answer else self._plain(self._role(message), message.parts)
        self._name(message, written)
        return [{**written, **message.native, **self._said(message.native)}]

    def _said(self, native: Native) -> Native:
        """The words that are members as they stand."""
        words = {name: value for name, value in words_of(native).items() if name != assistant.REFUSED_WITHIN}
        for name in (*thoughts.TEXTS, thoughts.DETAILS):
            if name in words and name in self._host.unsupported:
                del words[name]
                self._losses.advise("part.thought")
        return words

    def _own_answer(self, message: Message) -> Block:
        words = words_of(message.native)
        within = assistant.REFUSED_WITHIN in words
        said = [
            part
            for part in message.parts
            if isinstance(part, Text)
            or (isinstance(part, Media) and "images" not in words)
            or (isinstance(part, NativePart) and not part.kind.startswith(calls.CALL))
            or (isinstance(part, Refusal) and within)
            or (isinstance(part, Thought) and content.PART in words_of(part.native))
        ]
        written: Block = {"role": "assistant"}
        signature = next((part.signature for part in said if isinstance(part, Text) and part.signature), None)
        shown = [part for part in said if not isinstance(part, Text) or part.text or part.signature is None]
        if shown:
            written["content"] = self._content(tuple(shown))
        if signature is not None and "extra_content" in self._host.unsupported:
            self._losses.advise("part.thought")
        elif signature is not None:
            written |= calls.extra_content(signature)
        refusals = [part.text for part in message.parts if isinstance(part, Refusal)]
        if refusals and not within:
            written["refusal"] = "".join(refusals)
        if not any(name in words for name in (*thoughts.TEXTS, thoughts.DETAILS)):
            written |= self._thoughts(message.parts)
        for part in message.parts:
            if isinstance(part, ToolCall):
                if calls.LEGACY in words_of(part.native):
                    written["function_call"] = calls.write_legacy(part)
                else:
                    written.setdefault("tool_calls", []).append(self._call(part, part.id or ""))
            elif isinstance(part, NativePart) and part.kind.startswith(calls.CALL):
                written.setdefault("tool_calls", []).append(part.data)
        return written

    def _own_result(self, part: ToolResult, native: Native) -> Block:
        words = words_of(part.native)
        written: Block = {"role": "tool", "content": self._content(self._failing(part))}
        if part.call_id is not None:
            written["tool_call_id"] = part.call_id
        if part.name is not None:
            written["name"] = part.name
        return {**written, **native, **part.native, **content.mark(part), **words}

    # Messages of other APIs' clients

    def _add(self, message: Message) -> None:
        if message.role in ("system", "developer"):
            self._turn(self._plain(self._role(message), message.parts), message)
        elif message.role == "assistant":
            self._answer(message)
        else:
            self._asked(message)

    def _asked(self, message: Message) -> None:
        """A message of the user's. Gemini lets its user make calls, which here only the assistant does."""
        rest: list[Part] = []
        made: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                self._result(part)
            elif isinstance(part, ToolCall):
                made.append(part)
            else:
                rest.append(part)
        if rest or not message.parts:
            self._turn(self._plain("user", tuple(rest)), message)
        if made:
            self._answer(Message(role="assistant", parts=tuple(made)))

    def _role(self, message: Message) -> str:
        """The role of instructions: `developer` is a newer name, which not every host knows."""
        if message.role == "developer" and message.role in self._host.unsupported:
            return "system"
        return message.role

    def _turn(self, written: Block, message: Message) -> Turn:
        self._name(message, written)
        return self._turns.add(written)

    def _name(self, message: Message, written: Block) -> None:
        if message.name is not None and "name" in self._host.unsupported:
            self._losses.refuse("message.name", "the host that serves it does not tell speakers apart")
        elif message.name is not None:
            written["name"] = message.name

    def _answer(self, message: Message) -> None:
        texts: list[str] = []
        refusals: list[str] = []
        for part in message.parts:
            if isinstance(part, Text):
                self._left_out(part)
                texts.append(part.text)
            elif isinstance(part, Refusal):
                refusals.append(part.text)
            elif isinstance(part, Media):
                self._losses.refuse(f"part.{part.kind}", "only messages of the user may have one")
            elif isinstance(part, NativePart):
                self._losses.refuse_part(part)
        text = "".join(texts)
        written: Block = {"role": "assistant", "content": text or None}
        if refusals:
            written["refusal"] = "".join(refusals)
        written |= self._thoughts(message.parts)
        found = [part for part in message.parts if isinstance(part, ToolCall)]
        if found:
            written["tool_calls"] = []
        elif not text and len(written) == 2:
            return  # nothing is left of it
        turn = self._turn(written, message)
        for part in found:
            written["tool_calls"].append(self._call(part, self._turns.call(part, turn)))

    def _result(self, part: ToolResult) -> None:
        self._losses.refuse_native(part.native, prefix="part.")
        if part.cache is not None:
            self._losses.advise("part.cache")
        call = self._turns.answered(part)
        written = tuple(one for one in self._failing(part) if not isinstance(one, Media))
        result: Block = {"role": "tool", "tool_call_id": call.written, "content": self._content(written)}
        call.turn.results.append(result)
        blocks = [
            block for one in part.parts if isinstance(one, Media) and (block := self._medium(one)) is not None
        ]
        if blocks:
            said = {"type": "text", "text": f"Attached to the result of the tool call {call.written}:"}
            call.turn.attached.append({"role": "user", "content": [said, *blocks]})
            if not result["content"]:
                result["content"] = "The result is attached to the next message."

    # Parts

    def _plain(self, role: str, parts: tuple[Part, ...]) -> Block:
        """A message that is nothing but its content."""
        if role in ("system", "developer") and not self._own:
            for part in parts:
                if isinstance(part, Media):
                    self._losses.refuse("system", "its instructions are text only")
            parts = tuple(part for part in parts if not isinstance(part, Media))
        return {"role": role, "content": self._content(parts)}

    def _content(self, parts: tuple[Part, ...]) -> Json:
        """A string where that says it all, for some hosts take nothing else; else an array of parts."""
        blocks = [block for part in parts if (block := self._block(part)) is not None]
        if not blocks:
            return ""
        if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} and blocks[0]["type"] == "text":
            return blocks[0]["text"]
        return blocks

    def _block(self, part: Part) -> Block | None:
        if isinstance(part, Text):
            return self._text(part)
        if isinstance(part, Media):
            return self._medium(part)
        if isinstance(part, Refusal):
            if self._own:
                return {"type": "refusal", "refusal": part.text}
            return {"type": "text", "text": part.text}
        if isinstance(part, NativePart):
            if part.dialect == NAME:
                whole: Block = part.data
                return None if part.kind.startswith(calls.CALL) else whole
            self._losses.refuse_part(part)
        elif isinstance(part, Thought) and self._own:
            said = words_of(part.native).get(content.PART)
            return said if type(said) is dict else None
        elif isinstance(part, Thought):
            self._losses.advise("part.thought")
        return None

    def _medium(self, part: Media) -> Block | None:
        block = self._media.write(part)
        return None if block is None else {**block, **self._mark(part)}

    def _text(self, part: Text) -> Block | None:
        if self._own:
            return {"type": "text", "text": part.text, **part.native, **content.mark(part)}
        self._left_out(part)
        if not part.text:
            return None
        return {"type": "text", "text": part.text, **self._mark(part)}

    def _mark(self, part: Text | Media) -> Native:
        if part.cache is None:
            return {}
        if self._own or "cache_control" in self._host.renamed:
            return content.mark(part)
        self._losses.advise("part.cache")  # it caches prefixes by itself
        return {}

    def _left_out(self, part: Text) -> None:
        """What a text of another API has that has no place here."""
        self._losses.refuse_native(part.native, prefix="part.")
        if part.citations:
            self._losses.advise("part.citations")
        if part.signature is not None:
            self._losses.advise("part.thought")

    def _failing(self, part: ToolResult) -> tuple[Part, ...]:
        """A result's parts; those of a tool that failed begin with the word for it."""
        if not part.is_error:
            return part.parts
        first = part.parts[0] if part.parts else None
        if isinstance(first, Text) and first.text.lstrip().lower().startswith("error"):
            return part.parts
        if isinstance(first, Text):
            return (replace(first, text=FAILED + first.text), *part.parts[1:])
        return (Text(text=FAILED + "the tool call failed."), *part.parts)

    def _call(self, part: ToolCall, call_id: str) -> Block:
        if not self._own:
            self._losses.refuse_native(part.native, prefix="part.")
            if part.cache is not None:
                self._losses.advise("part.cache")
        written = calls.write(part, call_id, own=self._own)
        known = self._own or "extra_content" in self._host.renamed
        if part.signature is not None and (not known or "extra_content" in self._host.unsupported):
            written.pop("extra_content", None)
            self._losses.advise("part.thought")
        return written

    def _thoughts(self, parts: tuple[Part, ...]) -> Block:
        """The thoughts that the host can use: those it gave itself, and all where it knows whose they are."""
        given = [
            part for part in parts if isinstance(part, Thought) and content.PART not in words_of(part.native)
        ]
        usable = [
            part
            for part in given
            if thoughts.DETAILS in self._host.renamed or origin_of(part, self._chat.dialect) == NAME
        ]
        if len(usable) < len(given):
            self._losses.advise("part.thought")
        written = thoughts.write(usable, self._chat.dialect)
        for name in sorted(written.keys() & self._host.unsupported):
            del written[name]
            self._losses.advise("part.thought")
        return written
