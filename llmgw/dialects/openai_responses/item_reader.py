"""Items, of a request's input and of an answer's output, as messages and parts of the neutral model.

An assistant's turn is many items here (reasoning, message, calls) and one message there. The ids and statuses of
items belong to OpenAI's store and mean nothing without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, cast

from msgspec.structs import replace

from llmgw.canonical import (
    Citation,
    Inline,
    Json,
    Link,
    Media,
    Message,
    NativePart,
    Part,
    PlainText,
    Refusal,
    Source,
    Stored,
    Text,
    ToolCall,
    ToolResult,
)
from llmgw.dialects.members import Members
from llmgw.dialects.openai_responses import seal
from llmgw.dialects.openai_responses.seal import Seal
from llmgw.dialects.openai_responses.spelling import NAME

Role = Literal["system", "developer", "user", "assistant", "tool"]
_ROLES: Final = ("system", "developer", "user", "assistant")
_AUDIO: Final = {"wav": "audio/wav", "mp3": "audio/mpeg"}


def messages(items: list[Members], *, continued: bool = False) -> tuple[Message, ...]:
    """A conversation. Raises what `Members` raises.

    Args:
        continued: whether its beginning is in the provider's store, so that results may answer calls which are not
            here. Those are the provider's own affair.
    """
    turns: list[Message] = []
    signature: Seal | None = None
    called: set[str | None] = set()
    for item in items:
        whole = dict(item.whole())
        role, parts = read(item)
        called.update(part.id for part in parts if isinstance(part, ToolCall))
        if continued and any(isinstance(part, ToolResult) and part.call_id not in called for part in parts):
            parts = [NativePart(dialect=NAME, kind="function_call_output", data=whole)]
        if signature is not None:
            parts = signed(parts, signature)
            signature = None
        kept: list[Part] = []
        for part in parts:
            if isinstance(part, Seal):
                signature = part
            else:
                kept.append(part)
        if turns and role == "assistant" and turns[-1].role == "assistant":
            turns[-1] = replace(turns[-1], parts=(*turns[-1].parts, *kept))
        elif kept or role != "assistant":
            turns.append(Message(role=role, parts=tuple(kept)))
    return tuple(turns)


def read(of: Members) -> tuple[Role, list[Part | Seal]]:
    """One item: whose it is, and its parts."""
    kind = of.text("type") or "message"
    if kind == "message":
        return _message(of)
    if kind == "reasoning":
        return "assistant", [reasoning(of)]
    if kind in _CALLS:
        return "assistant", [call(of, kind)]
    if kind in ("function_call_output", "custom_tool_call_output"):
        return "tool", [_result(of)]
    part = NativePart(dialect=NAME, kind=kind, data={"type": kind, **of.whole()})
    return ("user" if kind.endswith("_output") or kind == "item_reference" else "assistant"), [part]


def signed(parts: list[Part | Seal], found: Seal) -> list[Part | Seal]:
    """`parts` with a signature on the first that it can belong to."""
    for n, part in enumerate(parts):
        if found.kind == "c" and isinstance(part, ToolCall):
            return [*parts[:n], replace(part, signature=found.value), *parts[n + 1 :]]
        if found.kind == "t" and isinstance(part, Text):
            return [*parts[:n], replace(part, signature=found.value), *parts[n + 1 :]]
    return parts


def _message(of: Members) -> tuple[Role, list[Part | Seal]]:
    role = of.need_text("role")
    if role not in _ROLES:
        raise of.wrong("role", "system, developer, user or assistant")
    content = of.whole().get("content")
    if isinstance(content, str):
        of.any("content")
        return cast(Role, role), [Text(text=content)]
    return cast(Role, role), [part(one) for one in of.objects("content")]


def reasoning(of: Members) -> Part | Seal:
    """A reasoning item: its summary, or else its text, and what proves it."""
    shown = [text for one in of.objects("summary") if (text := one.text("text"))]
    shown = shown or [text for one in of.objects("content") if (text := one.text("text"))]
    return seal.thought("\n\n".join(shown), of.text("encrypted_content"), of.text("id"))


def call(of: Members, kind: str) -> ToolCall:
    """A call of a function, or of a custom tool."""
    identity = of.text("call_id") or of.text("id")
    if kind == "custom_tool_call":
        return ToolCall(
            id=identity or None, name=of.need_text("name"), arguments=of.text("input") or "", custom=True
        )
    return ToolCall(id=identity or None, name=of.need_text("name"), arguments=of.text("arguments") or "{}")


_CALLS: Final = frozenset({"function_call", "custom_tool_call"})


def _result(of: Members) -> ToolResult:
    output = of.whole().get("output")
    parts: tuple[Part, ...]
    if isinstance(output, str):
        parts = (Text(text=output),)
    elif isinstance(output, list):
        parts = tuple(part(one) for one in of.objects("output"))
    else:
        raise of.wrong("output", "a string or an array of parts")
    return ToolResult(call_id=of.need_text("call_id"), name=None, parts=parts)


def part(of: Members) -> Part:
    """One part of a message's content."""
    kind = of.need_text("type")
    read_part = _PARTS.get(kind)
    if read_part is None:
        return NativePart(dialect=NAME, kind=kind, data={"type": kind, **of.whole()})
    return read_part(of)


def _text(of: Members) -> Part:
    found = tuple(citation(one) for one in of.array("annotations") or () if isinstance(one, dict))
    return Text(text=of.need_text("text"), citations=found)


def citation(one: Mapping[str, Json]) -> Citation:
    """An annotation of a text; what it says beyond a URL stays in `native`."""

    def text(name: str) -> str | None:
        value = one.get(name)
        return value if isinstance(value, str) else None

    def place(name: str) -> int | None:
        value = one.get(name)
        return value if type(value) is int and value >= 0 else None

    return Citation(
        url=text("url"),
        title=text("title") or text("filename"),
        start=place("start_index"),
        end=place("end_index"),
        native=dict(one),
    )


def _refusal(of: Members) -> Part:
    return Refusal(text=of.need_text("refusal"))


def _image(of: Members) -> Part:
    detail = of.text("detail")
    known = cast(Literal["low", "high", "auto"], detail) if detail in ("low", "high", "auto") else None
    url, stored = of.text("image_url"), of.text("file_id")
    if url is None and stored is None:
        raise of.wrong("image_url", "a string")
    native = {} if detail is None or known is not None else {"detail": detail}
    return Media(kind="image", source=_source(url, stored), detail=known, native=native)


def _file(of: Members) -> Part:
    stored, url, data = of.text("file_id"), of.text("file_url"), of.text("file_data")
    if stored is None and url is None and data is None:
        raise of.wrong("file_data", "a string")
    if data is not None and not data.startswith("data:"):
        data = f"data:application/pdf;base64,{data}"  # the only kind that may stand there bare
    return Media(kind="document", source=_source(data or url, stored), name=of.text("filename"))


def _audio(of: Members) -> Part:
    audio = of.object("input_audio")
    if audio is None:
        raise of.wrong("input_audio", "an object")
    form = audio.text("format") or "wav"
    source = Inline(media_type=_AUDIO.get(form, f"audio/{form}"), data=audio.need_text("data"))
    return Media(kind="audio", source=source)


def _source(url: str | None, stored: str | None) -> Source:
    if url is None:
        assert stored is not None
        return Stored(id=stored)
    if not url.startswith("data:"):
        return Link(url=url)
    head, _, data = url[5:].partition(",")
    media_type, _, encoding = head.partition(";")
    if encoding.rpartition(";")[2] == "base64":
        return Inline(media_type=media_type or "application/octet-stream", data=data)
    return PlainText(text=data)


_PARTS: Final[Mapping[str, Callable[[Members], Part]]] = {
    "input_text": _text,
    "output_text": _text,
    "text": _text,
    "summary_text": _text,
    "reasoning_text": _text,
    "refusal": _refusal,
    "input_image": _image,
    "input_file": _file,
    "input_audio": _audio,
}
