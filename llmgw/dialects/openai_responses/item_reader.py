"""Items, of a request's input and of an answer's output, as messages and parts of the neutral model.

An assistant's turn is many items here (reasoning, message, calls) and one message there. The ids and statuses of
items belong to OpenAI's store and mean nothing without it; neither does `phase`, its models' own label of what they
said. Any other member that is not known stays in `native`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Final, Literal, cast
from urllib.parse import unquote, unquote_to_bytes

from msgspec.structs import replace

from llmgw.canonical import (
    CacheMark,
    Citation,
    Inline,
    Json,
    Link,
    Media,
    Message,
    Native,
    NativePart,
    Part,
    PlainText,
    Refusal,
    Source,
    Stored,
    Text,
    Thought,
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
_DRAWN: Final = {"/9j/": "image/jpeg", "UklG": "image/webp"}
"""Formats of a drawn image by how their base64 begins; PNG is the API's default."""
_CALLS: Final = ("function_call", "custom_tool_call")
_RESULTS: Final = ("function_call_output", "custom_tool_call_output")
_OF_STORE: Final = frozenset({"id", "status", "phase"})
_DIRECT: Final = {"type": "direct"}
"""The default: a call by the model itself, and not by a program of its own."""
CONTENT: Final = "content."
"""Stands before the kind of a message's part that the neutral model has no part for; items have their kind alone."""


class _Turn:
    """A message in the making."""

    __slots__ = ("native", "parts", "role")

    def __init__(self, role: Role) -> None:
        self.role = role
        self.parts: list[Part] = []
        self.native: dict[str, Json] = {}


def messages(items: list[Members], *, continued: bool = False) -> tuple[Message, ...]:
    """A conversation. Raises what `Members` raises.

    Args:
        continued: whether its beginning is in the provider's store, so that results may answer calls which are not
            here. Those are the provider's own affair; so are those behind a reference to a stored item.
    """
    turns: list[_Turn] = []
    signature: Seal | None = None
    called: set[str | None] = set()
    for item in items:
        whole = item.whole()
        is_message = "role" in whole and whole.get("type") in (None, "message")
        continued = continued or _is_reference(whole)
        role: Role
        parts: list[Part | Seal]
        if continued and whole.get("type") in _RESULTS and str(whole.get("call_id")) not in called:
            role, parts = "tool", [NativePart(dialect=NAME, kind=whole["type"], data=whole)]
        else:
            role, parts = read(item, recalled=True)
        called.update(part.id for part in parts if isinstance(part, ToolCall))
        if signature is not None:
            parts = _signed(parts, signature)
            signature = None
        if not turns or role != "assistant" or turns[-1].role != "assistant":
            turns.append(_Turn(role))
        for part in parts:
            if isinstance(part, Seal):
                signature = part
            else:
                turns[-1].parts.append(part)
        if is_message:
            turns[-1].native.update(_left(item))
    return tuple(
        Message(role=turn.role, parts=tuple(turn.parts), native=turn.native)
        for turn in turns
        if turn.parts or turn.role != "assistant"
    )


def read(of: Members, *, recalled: bool = False) -> tuple[Role, list[Part | Seal]]:
    """One item: whose it is, and its parts.

    Args:
        recalled: whether a client sends it back, so that it may hold what the gateway has sealed.
    """
    kind = of.text("type") or ("item_reference" if _is_reference(of.whole()) else "message")
    if kind == "message":
        return _message(of)
    if kind == "reasoning":
        thought = reasoning(of)
        return "assistant", [seal.opened(thought) if recalled else thought]
    if kind in _CALLS:
        return "assistant", [call(of, kind)]
    if kind in _RESULTS:
        return "tool", [_result(of)]
    if kind == "image_generation_call" and _is_base64(of.whole().get("result")):
        return "assistant", [_drawn(of)]
    part = NativePart(dialect=NAME, kind=kind, data={"type": kind, **of.whole()})
    return ("user" if kind.endswith(_OF_USERS) else "assistant"), [part]


_OF_USERS: Final = ("_output", "_response", "item_reference", "additional_tools", "compaction_trigger")
"""How the kinds of items end that a client makes."""


def _is_reference(item: dict[str, Json]) -> bool:
    """Whether an item stands for one in the provider's store."""
    kind = item.get("type")
    return kind == "item_reference" or (kind is None and "role" not in item and "id" in item)


def _left(of: Members) -> Native:
    """What is not known of an item and may mean something."""
    if of.whole().get("caller") == _DIRECT:
        of.any("caller")
    return {name: value for name, value in of.rest().items() if name not in _OF_STORE}


def _signed(parts: list[Part | Seal], found: Seal) -> list[Part | Seal]:
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


def reasoning(of: Members) -> Thought:
    """A reasoning item: its summary, or else its text, and what proves it."""
    shown = [text for one in of.objects("summary") if (text := one.text("text"))]
    shown = shown or [text for one in of.objects("content") if (text := one.text("text"))]
    return Thought(text="\n\n".join(shown), redacted=of.text("encrypted_content"), id=of.text("id"))


def call(of: Members, kind: str) -> ToolCall:
    """A call of a function, or of a custom tool."""
    custom = kind == "custom_tool_call"
    said = of.text("input" if custom else "arguments") or ""
    identity = of.text("call_id")
    if not identity:
        identity = of.text("id")
    return ToolCall(
        id=identity or None,
        name=of.need_text("name"),
        arguments=said if custom or said.strip() else "{}",
        custom=custom,
        native=_left(of),
    )


def _is_base64(value: Json) -> bool:
    try:
        return isinstance(value, str) and len(b64decode(value, validate=True)) > 0
    except ValueError:
        return False


def _drawn(of: Members) -> Media:
    """An image that the model has drawn."""
    data, form = of.need_text("result"), of.text("output_format")
    media_type = f"image/{form}" if form else _DRAWN.get(data[:4], "image/png")
    return Media(kind="image", source=Inline(media_type=media_type, data=data), native=_left(of))


def _result(of: Members) -> ToolResult:
    output = of.whole().get("output")
    parts: list[Part]
    cache = None
    if isinstance(output, str):
        of.any("output")
        parts = [Text(text=output)]
    elif isinstance(output, list):
        parts = [part(one) for one in of.objects("output")]
    else:
        raise of.wrong("output", "a string or an array of parts")
    for n, one in enumerate(parts):
        if isinstance(one, Text | Media) and one.cache is not None:  # the mark of a part is its result's
            cache = one.cache
            parts[n] = replace(one, cache=None)
    return ToolResult(
        call_id=of.need_text("call_id"),
        name=of.text("name"),
        parts=tuple(parts),
        cache=cache,
        native=_left(of),
    )


def part(of: Members) -> Part:
    """One part of a message's content."""
    kind = of.need_text("type")
    read_part = _PARTS.get(kind)
    if read_part is None:
        return NativePart(dialect=NAME, kind=CONTENT + kind, data={"type": kind, **of.whole()})
    return read_part(of)


def _text(of: Members) -> Part:
    found = tuple(citation(one.whole()) for one in of.objects("annotations"))
    of.any("logprobs")  # of a former answer
    return Text(text=of.need_text("text"), citations=found, cache=_cache(of), native=of.rest())


def _cache(of: Members) -> CacheMark | None:
    if of.whole().get("prompt_cache_breakpoint") not in ({}, {"mode": "explicit"}):
        return None
    of.any("prompt_cache_breakpoint")
    return CacheMark()


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
    odd = {} if detail is None or known is not None else {"detail": detail}
    if url is not None and stored is not None:
        odd["file_id"] = stored
    return Media(
        kind="image",
        source=_source(url, stored),
        detail=known,
        cache=_cache(of),
        native={**of.rest(), **odd},
    )


def _file(of: Members) -> Part:
    stored, url, data = of.text("file_id"), of.text("file_url"), of.text("file_data")
    if stored is None and url is None and data is None:
        raise of.wrong("file_data", "a string")
    if data is not None and not data.startswith("data:"):
        data = f"data:application/pdf;base64,{data}"  # the only kind that may stand there bare
    return Media(
        kind="document",
        source=_source(data or url, stored),
        name=of.text("filename"),
        cache=_cache(of),
        native=of.rest(),
    )


def _audio(of: Members) -> Part:
    audio = of.object("input_audio")
    if audio is None:
        raise of.wrong("input_audio", "an object")
    form = audio.text("format") or "wav"
    source = Inline(media_type=_AUDIO.get(form, f"audio/{form}"), data=audio.need_text("data"))
    return Media(kind="audio", source=source, native=of.rest())


def _source(url: str | None, stored: str | None) -> Source:
    if url is None:
        assert stored is not None
        return Stored(id=stored)
    if url[:5].lower() != "data:":
        return Link(url=url)
    head, _, data = url[5:].partition(",")
    media_type, _, parameters = head.partition(";")
    if parameters.rpartition(";")[2].strip().lower() == "base64":
        return Inline(media_type=media_type or "application/octet-stream", data=data)
    if media_type.partition("/")[0] in ("", "text"):  # RFC 2397: text/plain is the default
        return PlainText(text=unquote(data))
    return Inline(media_type=media_type, data=b64encode(unquote_to_bytes(data)).decode())


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
