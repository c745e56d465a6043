"""A part of Gemini's as a neutral part: of a client's turn and of a provider's answer alike.

A part is a union without a tag: the member that is there says what it is. What no other API has (code execution,
server-side tool calls, whatever comes next) stays whole as a NativePart. Members beside the content, such as
`videoMetadata`, go to the part's `native`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from llmgw.canonical import (
    Inline,
    Json,
    Link,
    Media,
    NativePart,
    Part,
    Source,
    Stored,
    Text,
    Thought,
    ToolCall,
    ToolResult,
)
from llmgw.dialects.gemini import media_types, signature
from llmgw.dialects.gemini.spelling import ANSWER, NAME, REQUEST, Fields, json_text, keep
from llmgw.errors import CallError

_NATIVE: Final = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
_NOTHING_SAID: Final = Text(text="")
_BESIDE: Final = frozenset({"thought", "thoughtSignature", "partMetadata"})


def read(part: Fields) -> Part:
    """The neutral part.

    Raises:
        InvalidRequest: a client's part is not valid; names the member.
        UpstreamFailed: a provider's.
    """
    for name, reader in _CALLS.items():
        if name in part:
            return reader(part)
    if part.whole().get("thought") is True and "text" not in part:
        return _thought(part)
    for name, reader in _CONTENTS.items():
        if name in part:
            return reader(part)
    content = [name for name in part.rest() if name not in _BESIDE]
    if content:
        kind = next((name for name in _NATIVE if name in content), content[0])
        return NativePart(dialect=NAME, kind=kind, data=dict(part.rest()))
    return _text(part)  # {} or a bare thoughtSignature: an empty text is left out as a default


def read_all(parts: list[Fields]) -> tuple[Part, ...]:
    """The parts of one turn, with the pieces of foreign thoughts put together again.

    Beside other parts an empty text says nothing: the last chunk of a stream often brings one, clients send it back,
    and other APIs refuse it.
    """
    found: list[Part] = []
    for part in map(read, parts):
        if isinstance(part, Thought) and "dialect" in part.native:
            part = _join(found, part)
        found.append(part)
    said = [part for part in found if part != _NOTHING_SAID]
    return tuple(said or found)


def _join(found: list[Part], last: Thought) -> Thought:
    """A foreign thought that was streamed: its text came in unsigned parts before the one with the signature."""
    text = last.text
    while (
        found and isinstance(before := found[-1], Thought) and before.signature is None and not before.native
    ):
        text = before.text + text
        found.pop()
    return replace(last, text=text)


def _text(part: Fields) -> Part:
    text = part.text("text") or ""
    signed = part.text("thoughtSignature")
    if not part.flag("thought"):
        return Text(text=text, signature=signed, native=part.rest())
    thought = signature.thought(text, signed)
    rest = part.rest()
    return replace(thought, native={**thought.native, **rest}) if rest else thought


def _thought(part: Fields) -> Part:
    """A thought without text: a bare signature, or an image drawn while thinking."""
    part.flag("thought")
    thought = signature.thought("", part.text("thoughtSignature"))
    return replace(thought, native={**thought.native, **part.rest()})


def _call(part: Fields) -> Part:
    call = part.fields("functionCall")
    assert call is not None  # `read` looked
    arguments = call.any("args")
    if arguments is None:
        arguments = {}
    elif type(arguments) is not dict:
        raise call.wrong("args", "an object")
    error = ANSWER if part.of_provider else REQUEST
    identity = call.text("id")
    name = call.need_text("name")
    signed = part.text("thoughtSignature")
    native = dict(part.rest())
    words = _default(call)
    more = call.rest()
    if more:
        native["functionCall"] = dict(more)
    return ToolCall(
        id=identity or None,
        name=name,
        arguments=json_text(arguments, error) if arguments else "{}",
        signature=signed,
        native=keep(native, words),
    )


def _default(call: Fields) -> dict[str, Json]:
    """`willContinue: false`, which a call and a result that are complete may say."""
    return {"willContinue": call.any("willContinue")} if call.whole().get("willContinue") is False else {}


def _result(part: Fields) -> Part:
    result = part.fields("functionResponse")
    assert result is not None  # `read` looked
    response = result.any("response")
    if response is None:
        response = {}
    elif type(response) is not dict:
        raise result.wrong("response", "an object")
    call_id = result.text("id")
    name = result.need_text("name")
    media = [read(one) for one in result.every("parts")]
    parts, failed = _output(response, ANSWER if part.of_provider else REQUEST)
    words = {"response": response, **_default(result)}
    native = {**part.rest(), **result.rest()}
    return ToolResult(
        call_id=call_id or None,
        name=name,
        parts=(*parts, *media),
        is_error=failed,
        native=keep(native, words),
    )


def _output(response: dict[str, object], error: type[CallError]) -> tuple[tuple[Part, ...], bool]:
    """What a tool said, and whether it failed: `result`, `output` and `error` are Google's documented keys."""
    if not response:
        return (), False
    if len(response) == 1:
        ((key, value),) = response.items()
        if key == "error":
            return (Text(text=value if type(value) is str else json_text(value, error)),), True
        if key in ("result", "output") and type(value) is str:
            return (Text(text=value),), False
    return (Text(text=json_text(response, error)),), False


def _inline(part: Fields) -> Part:
    blob = part.fields("inlineData")
    assert blob is not None  # `read` looked
    media_type = blob.need_text("mimeType")
    data = _standard(blob.need_text("data"))
    return _media(part, blob, Inline(media_type=media_type, data=data), media_types.kind_of(media_type))


def _file(part: Fields) -> Part:
    file = part.fields("fileData")
    assert file is not None  # `read` looked
    uri = file.need_text("fileUri")
    media_type = file.text("mimeType")
    source: Source
    if uri.startswith(("https://", "http://")) and not uri.startswith(_STORE):
        source = Link(url=uri, media_type=media_type)
    else:
        source = Stored(id=uri, media_type=media_type)
    return _media(part, file, source, media_types.kind_of(media_type, uri))


_STORE: Final = "https://generativelanguage.googleapis.com/"
"""Where uploaded files have their URIs; nobody but Gemini can read them."""


def _standard(data: str) -> str:
    """Base64 in the standard alphabet: Google takes the URL-safe one too, and its own SDK sends that."""
    if "-" in data or "_" in data:
        data = data.replace("-", "+").replace("_", "/")
    return data + "=" * (-len(data) % 4)


def _media(part: Fields, blob: Fields, source: Source, kind: media_types.Kind) -> Part:
    name = blob.text("displayName")
    signed = part.text("thoughtSignature")  # of an image that the model drew; a proof for Gemini alone
    native = dict(part.rest())
    more = blob.rest()
    if more:
        native["blob"] = dict(more)
    words = {} if signed is None else {"thoughtSignature": signed}
    return Media(kind=kind, source=source, name=name, native=keep(native, words))


_CALLS: Final[dict[str, Callable[[Fields], Part]]] = {"functionCall": _call, "functionResponse": _result}
_CONTENTS: Final[dict[str, Callable[[Fields], Part]]] = {
    "inlineData": _inline,
    "fileData": _file,
    "text": _text,
}
