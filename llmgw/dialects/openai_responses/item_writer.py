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
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.openai_responses.item_reader import CONTENT
from llmgw.dialects.openai_responses.spelling import NAME
from llmgw.dialects.origin import origin_of
from llmgw.errors import InvalidRequest

Item = dict[str, Json]
LONGEST_CALL_ID: Final = 64
"""Characters (`maxLength` of `call_id` in the API's OpenAPI document)."""
_MARK: Final[Item] = {"prompt_cache_breakpoint": {"mode": "explicit"}}
_FAILED: Final = "Error: "
"""Begins the output of a call that failed: this API has no other place to say so."""


def items(chat: Chat, to: Recipient, losses: Losses) -> list[Item]:
    """The `input` of a request.

    Raises:
        UnsupportedParameter: through `losses`.
        InvalidRequest: a tool result answers no call.
    """
    return _Items(chat, to, losses).write()


def leave_out(part: Text, dialect: str, losses: Losses) -> None:
    """Account for what a text of another API has that has no place here."""
    if dialect == NAME:
        return
    losses.refuse_native(part.native, prefix="part.")
    if part.cache is not None:
        losses.advise("part.cache")
    if part.citations:
        losses.advise("part.citations")
    if part.signature is not None:
        losses.advise("part.thought")


class _Items:
    def __init__(self, chat: Chat, to: Recipient, losses: Losses) -> None:
        self._chat = chat
        self._own = chat.dialect == NAME
        self._to = to
        self._losses = losses
        self._items: list[Item] = []
        self._open: list[tuple[str | None, str, str]] = []
        """Calls without a result so far: their id, name, and id as written."""
        self._ids: dict[str, int] = {}
        """Ids that are taken, and how many calls wanted each."""
        self._custom: set[str] = set()

    def write(self) -> list[Item]:
        for message in self._chat.messages:
            if message.name is not None:
                self._losses.refuse("message.name", "messages have no names there")
            if not self._own:
                self._losses.refuse_native(message.native, prefix="messages[].")
            content: list[Item] = []
            for part in message.parts:
                self._add(message, part, content)
            self._flush(message, content)
        return self._items

    def _flush(self, message: Message, content: list[Item]) -> None:
        if not content:
            return
        role: str = message.role
        if role == "tool":
            role = "user"
        elif role == "developer" and "developer" in self._to.host.unsupported:
            role = "system"
        said: Json = list(content)
        if role == "assistant" and not self._own:  # several texts of one answer are one text
            said = "".join(one["text"] for one in content)
        native = message.native if self._own else {}
        self._items.append({"type": "message", "role": role, "content": said, **native})
        content.clear()

    def _add(self, message: Message, part: Part, content: list[Item]) -> None:
        answered = message.role == "assistant"
        if isinstance(part, Text):
            leave_out(part, self._chat.dialect, self._losses)
            if part.text or self._own or not answered:
                content.append(self._text(part, "output_text" if answered else "input_text"))
        elif isinstance(part, Refusal) and self._own:
            content.append({"type": "refusal", "refusal": part.text})
        elif isinstance(part, Refusal):
            content.append({"type": "input_text", "text": part.text})
        elif isinstance(part, Media) and not answered:
            content += self._media(part)
        elif isinstance(part, NativePart) and self._own and part.kind.startswith(CONTENT):
            content.append(dict(part.data))
        else:
            self._flush(message, content)
            self._item(part)

    def _item(self, part: Part) -> None:
        """A part that is an item of its own."""
        if isinstance(part, Thought):
            self._thought(part)
        elif isinstance(part, ToolCall):
            self._call(part)
        elif isinstance(part, ToolResult):
            self._result(part)
        elif isinstance(part, Media):
            self._drawn(part)
        elif isinstance(part, NativePart) and part.dialect == NAME:
            self._items.append(dict(part.data))
        elif isinstance(part, NativePart):
            self._losses.refuse_part(part)

    def _text(self, part: Text, kind: str) -> Item:
        item: Item = {"type": kind, "text": part.text}
        if self._own and part.citations:
            item["annotations"] = [dict(one.native) for one in part.citations]
        return {**item, **self._kept(part)}

    def _kept(self, part: Text | Media) -> Item:
        """What only this API says of a part."""
        if not self._own:
            return {}
        return {**part.native, **({} if part.cache is None else _MARK)}

    def _thought(self, part: Thought) -> None:
        if origin_of(part, self._chat.dialect) != NAME or (part.redacted is None and not self._own):
            self._losses.advise("part.thought")
            return
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        item: Item = {"type": "reasoning", "id": part.id or f"rs_{len(self._items)}", "summary": summary}
        if part.redacted is not None:
            item["encrypted_content"] = part.redacted
        self._items.append(item)

    # calls and their results

    def _call(self, part: ToolCall) -> None:
        written = self._call_id(part)
        if part.signature is not None:
            self._losses.advise("part.thought")
        if not self._own:
            self._losses.refuse_native(part.native, prefix="part.")
            if part.cache is not None:
                self._losses.advise("part.cache")
        if part.custom:
            self._custom.add(written)
            kind, name = "custom_tool_call", "input"
        else:
            kind, name = "function_call", "arguments"
        native = part.native if self._own else {}
        self._items.append(
            {"type": kind, "call_id": written, "name": part.name, name: part.arguments, **native}
        )

    def _call_id(self, part: ToolCall) -> str:
        """The id of a call, short enough and, where several calls share it, made unique; its result has it too."""
        wanted = written = _fitting(part.id or f"call_{len(self._items)}")
        count = self._ids.get(wanted, 1)
        while written in self._ids and not self._own:
            count += 1
            written = _fitting(f"{wanted}_{count}")
        self._ids[wanted] = count
        self._ids.setdefault(written, 1)
        self._open.append((part.id, part.name, written))
        return written

    def _answered(self, part: ToolResult) -> str:
        """The id, as written, of the call that a result answers: by id, or else the first of its name."""
        for call in self._open:
            identity, name, written = call
            if identity == part.call_id if part.call_id is not None else part.name in (None, name):
                self._open.remove(call)
                return written
        if self._own and part.call_id is not None:
            return part.call_id
        raise InvalidRequest(
            f"The tool result for {part.call_id or part.name or 'a call'!r} answers no tool call before it.",
            param="messages",
        )

    def _result(self, part: ToolResult) -> None:
        written = self._answered(part)
        if not self._own:
            self._losses.refuse_native(part.native, prefix="part.")
            if part.cache is not None:
                self._losses.advise("part.cache")
        parts = [item for one in part.parts for item in self._output(one)]
        if part.is_error and parts and parts[0]["type"] == "input_text":
            parts[0]["text"] = _FAILED + parts[0]["text"]
        elif part.is_error:
            parts.insert(0, {"type": "input_text", "text": _FAILED.rstrip(": ")})
        kind = "custom_tool_call_output" if written in self._custom else "function_call_output"
        if self._own and part.cache is not None and parts:
            parts[-1] |= _MARK
        plain = all(one.keys() == {"type", "text"} for one in parts)
        output: Json = "\n".join(one["text"] for one in parts) if plain else parts
        native = part.native if self._own else {}
        self._items.append({"type": kind, "call_id": written, "output": output, **native})

    def _output(self, part: Part) -> list[Item]:
        """One part of a result."""
        if isinstance(part, Text):
            leave_out(part, self._chat.dialect, self._losses)
            return [self._text(part, "input_text")]
        if isinstance(part, Media):
            return self._media(part)
        if isinstance(part, NativePart) and part.dialect == NAME:
            return [dict(part.data)]
        if isinstance(part, NativePart):
            self._losses.refuse_part(part)
        else:
            self._losses.refuse("part.tool_result", "it holds what a tool's output cannot")
        return []

    # media

    def _drawn(self, part: Media) -> None:
        """An image in an answer of the past: only this API's own clients have it as an item."""
        if not self._own or part.kind != "image" or not isinstance(part.source, Inline):
            self._losses.refuse(f"part.{part.kind}", "an assistant's message takes text alone")
            return
        written = {"type": "image_generation_call", "id": f"ig_{len(self._items)}", "status": "completed"}
        self._items.append({**written, "result": part.source.data, **part.native})

    def _media(self, part: Media) -> list[Item]:
        """A medium as a part of a message or of a result; none where it was dropped."""
        losses = self._losses
        if not self._own:
            losses.refuse_native(part.native, prefix="part.")
            if part.cache is not None:
                losses.advise("part.cache")
        if isinstance(part.source, Stored) and self._chat.dialect not in (NAME, "openai_chat"):
            losses.refuse(f"part.{part.kind}", "the file is stored with another provider")
            return []
        item: Item | None = None
        if part.kind == "image":
            item = self._image(part)
        elif part.kind == "document":
            item = self._document(part)
        else:
            losses.refuse(f"part.{part.kind}", "the Responses API takes images and documents alone")
        return [] if item is None else [{**item, **self._kept(part)}]

    def _image(self, part: Media) -> Item | None:
        if self._to.capabilities.vision is False:
            self._losses.refuse("part.image", "the model takes no images")
            return None
        if part.name is not None:
            self._losses.advise("part.name")
        item: Item = {"type": "input_image"}
        if part.detail is not None or not self._own:
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
        if part.detail is not None:
            self._losses.advise("part.detail")
        source = part.source
        if isinstance(source, PlainText):
            title = "" if part.name is None else f"{part.name}\n\n"
            return {"type": "input_text", "text": title + source.text}
        if self._to.capabilities.documents is False:
            self._losses.refuse("part.document", "the model takes no documents")
            return None
        item: Item = {"type": "input_file"}
        if part.name is not None:
            item["filename"] = part.name
        if isinstance(source, Stored):
            return {**item, "file_id": source.id}
        if isinstance(source, Link):
            return {**item, "file_url": source.url}
        item.setdefault("filename", "document." + source.media_type.rpartition("/")[2])
        return {**item, "file_data": f"data:{source.media_type};base64,{source.data}"}


def _fitting(call_id: str) -> str:
    """An id that the API takes: other hosts' may be longer."""
    if len(call_id) <= LONGEST_CALL_ID:
        return call_id
    return "call_" + blake2b(call_id.encode("utf-8", "replace"), digest_size=20).hexdigest()
