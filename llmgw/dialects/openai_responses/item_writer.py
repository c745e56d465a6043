"""A conversation as input items: what a turn says is a message, what it thinks and calls are items of their own.

Answers of former turns go back as plain messages of the assistant: those that OpenAI wrote have ids, which nobody else
can make.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from llmgw.canonical import (
    Chat,
    Inline,
    Json,
    Link,
    Media,
    Message,
    NativePart,
    Part,
    PlainText,
    Refusal,
    Stored,
    Text,
    Thought,
    ToolCall,
    ToolResult,
)
from llmgw.dialects.capabilities import Capabilities
from llmgw.dialects.codec import Losses
from llmgw.dialects.openai_responses import seal
from llmgw.dialects.openai_responses.spelling import NAME
from llmgw.errors import InvalidRequest

Item = dict[str, Json]
LONGEST_CALL_ID: Final = 64
"""Characters (the OpenAPI document, `FunctionCallOutput`)."""
_FAILED: Final = "Error: "
"""Begins the output of a call that failed: this API has no other place to say so."""


def items(chat: Chat, capabilities: Capabilities, losses: Losses) -> list[Item]:
    """The `input` of a request.

    Raises:
        UnsupportedParameter: through `losses`.
        InvalidRequest: a tool result answers no call.
    """
    return _Items(chat, capabilities, losses).write()


class _Items:
    def __init__(self, chat: Chat, capabilities: Capabilities, losses: Losses) -> None:
        self._chat = chat
        self._capabilities = capabilities
        self._losses = losses
        self._items: list[Item] = []
        self._open: list[tuple[str | None, str, str]] = []
        """Calls without a result so far: their id, name, and id as written."""
        self._custom: set[str] = set()

    def write(self) -> list[Item]:
        for message in self._chat.messages:
            if message.name is not None:
                self._losses.refuse("message.name", "messages have no names there")
            if self._chat.dialect != NAME:
                self._losses.refuse_native(message.native, prefix="messages.")
            content: list[Item] = []
            for part in message.parts:
                self._add(message, part, content)
            self._flush(message, content)
        return self._items

    def _flush(self, message: Message, content: list[Item]) -> None:
        if not content:
            return
        role = "user" if message.role == "tool" else message.role
        self._items.append({"type": "message", "role": role, "content": list(content)})
        content.clear()

    def _add(self, message: Message, part: Part, content: list[Item]) -> None:
        if isinstance(part, Text | Refusal):
            if isinstance(part, Text):
                self._text_losses(part)
            if message.role == "assistant":
                if part.text:
                    self._items.append({"type": "message", "role": "assistant", "content": part.text})
            else:
                content.append({"type": "input_text", "text": part.text})
            return
        if isinstance(part, Media) and message.role != "assistant":
            medium = self._media(part)
            if medium is not None:
                content.append(medium)
            return
        self._flush(message, content)
        if isinstance(part, Thought):
            self._thought(part)
        elif isinstance(part, ToolCall):
            self._call(part)
        elif isinstance(part, ToolResult):
            self._result(part)
        elif isinstance(part, Media):
            self._losses.refuse(f"part.{part.kind}", "an assistant's message takes text alone")
        elif part.dialect == NAME:
            self._items.append(dict(part.data))
        else:
            self._losses.refuse_part(part)

    def _text_losses(self, part: Text) -> None:
        if part.cache is not None:
            self._losses.advise("part.cache")
        if part.citations:
            self._losses.advise("part.citations")
        if self._chat.dialect != NAME:
            self._losses.refuse_native(part.native, prefix="messages.content.")

    def _thought(self, part: Thought) -> None:
        if seal.origin_of(part, self._chat.dialect) != NAME or part.redacted is None:
            self._losses.advise("part.thought")
            return
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        item: Item = {"type": "reasoning", "summary": summary, "encrypted_content": part.redacted}
        item["id"] = part.id or f"rs_{len(self._items)}"
        self._items.append(item)

    def _call(self, part: ToolCall) -> None:
        written = part.id or f"call_{len(self._items)}"
        if len(written) > LONGEST_CALL_ID:  # other hosts' ids may be; its result follows it
            written = "call_" + blake2b(written.encode(), digest_size=20).hexdigest()
        self._open.append((part.id, part.name, written))
        if part.cache is not None:
            self._losses.advise("part.cache")
        if part.custom:
            self._custom.add(written)
            kind, name = "custom_tool_call", "input"
        else:
            kind, name = "function_call", "arguments"
        self._items.append({"type": kind, "call_id": written, "name": part.name, name: part.arguments})

    def _result(self, part: ToolResult) -> None:
        written = self._answered(part)
        if part.cache is not None:
            self._losses.advise("part.cache")
        if self._chat.dialect != NAME:
            self._losses.refuse_native(part.native, prefix="messages.content.")
        parts: list[Item] = []
        for one in part.parts:
            if isinstance(one, Text):
                self._text_losses(one)
                parts.append({"type": "input_text", "text": one.text})
            elif isinstance(one, Media):
                medium = self._media(one)
                if medium is not None:
                    parts.append(medium)
            elif isinstance(one, NativePart) and one.dialect != NAME:
                self._losses.refuse_part(one)
            else:
                self._losses.refuse("part.tool_result", "it holds what a tool's output cannot")
        if part.is_error and parts and parts[0]["type"] == "input_text":
            parts[0]["text"] = _FAILED + parts[0]["text"]
        elif part.is_error:
            parts.insert(0, {"type": "input_text", "text": _FAILED.rstrip(": ")})
        kind = "custom_tool_call_output" if written in self._custom else "function_call_output"
        texts = [one["text"] for one in parts if one["type"] == "input_text"]
        output: Json = "\n".join(texts) if len(texts) == len(parts) else parts
        self._items.append({"type": kind, "call_id": written, "output": output})

    def _answered(self, part: ToolResult) -> str:
        """The id, as written, of the call that a result answers: by id, or else the first of its name."""
        for call in self._open:
            identity, name, written = call
            if identity == part.call_id if part.call_id is not None else part.name in (None, name):
                self._open.remove(call)
                return written
        raise InvalidRequest(
            f"The tool result for {part.call_id or part.name or 'a call'!r} answers no tool call before it.",
            param="messages",
        )

    def _media(self, part: Media) -> Item | None:
        losses = self._losses
        if part.cache is not None:
            losses.advise("part.cache")
        if self._chat.dialect != NAME:
            losses.refuse_native(part.native, prefix="messages.content.")
        own = self._chat.dialect in (NAME, "openai_chat")  # both know OpenAI's stored files
        if isinstance(part.source, Stored) and not own:
            losses.refuse(f"part.{part.kind}", "the file is stored with another provider")
            return None
        if part.kind == "image":
            return self._image(part)
        if part.kind == "document":
            return self._document(part)
        losses.refuse(f"part.{part.kind}", "the Responses API takes images and documents alone")
        return None

    def _image(self, part: Media) -> Item | None:
        if self._capabilities.vision is False:
            self._losses.refuse("part.image", "the model takes no images")
            return None
        item: Item = {"type": "input_image"}
        if part.detail is not None or self._chat.dialect != NAME:
            item["detail"] = part.detail or "auto"  # which the published schema wants
        source = part.source
        if isinstance(source, Stored):
            item["file_id"] = source.id
        elif isinstance(source, Link):
            item["image_url"] = source.url
        elif isinstance(source, Inline):
            item["image_url"] = f"data:{source.media_type};base64,{source.data}"
        else:
            self._losses.refuse("part.image", "an image cannot be text")
            return None
        return item

    def _document(self, part: Media) -> Item | None:
        source = part.source
        if isinstance(source, PlainText):
            title = "" if part.name is None else f"{part.name}\n\n"
            return {"type": "input_text", "text": title + source.text}
        if self._capabilities.documents is False:
            self._losses.refuse("part.document", "the model takes no documents")
            return None
        item: Item = {"type": "input_file"}
        if isinstance(source, Stored):
            return {**item, "file_id": source.id}
        if isinstance(source, Link):
            return {**item, "file_url": source.url}
        item["filename"] = part.name or "document." + source.media_type.rpartition("/")[2]
        return {**item, "file_data": f"data:{source.media_type};base64,{source.data}"}
