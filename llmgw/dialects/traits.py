"""What of a request's content rules may look at, from its bytes alone: shape, prompt, and what starts its conversation.

The body is decoded as it is, once, and only if somebody asks: msgspec builds a megabyte of conversation in about the
time that two searches through its bytes take, and a search can be led astray by an escape (`\\u0074ools` is `tools` to
every provider). A body that is not what its endpoint takes has none of all this: refusing it is for others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from llmgw.canonical.traits import Prompt, Shape

_decode: Final = msgspec.json.Decoder().decode
_CONVERSATIONS: Final = {
    "chat_completions": "messages",
    "messages": "messages",
    "count_tokens": "messages",
    "responses": "input",
    "generate_content": "contents",
    "stream_generate_content": "contents",
    "stream_generate_content_array": "contents",
    "gemini_count_tokens": "contents",
    "completions": "prompt",
}
"""Where endpoints have their turns, by name; the others hold no conversation."""
_TOOLS: Final = ("tools", "functions", "mcp_servers")
_INSTRUCTIONS: Final = ("system", "instructions", "systemInstruction", "system_instruction")
_FORMATS: Final = (
    ("response_format",),
    ("text", "format"),
    ("output_config", "format"),
    ("output_format",),
)
"""Where a format stands that may be of the type `json_schema`."""
_CONFIGS: Final = ("generationConfig", "generation_config")
_SCHEMAS: Final = ("responseSchema", "response_schema", "responseJsonSchema", "response_json_schema")
_IMAGES: Final = frozenset(
    {"image", "image_url", "input_image", "computer_screenshot", "image_generation_call"}
)
"""Types of parts, of every dialect but Gemini's, which has media types."""
_MEDIA: Final = ("inlineData", "inline_data", "fileData", "file_data")
_NESTS: Final = ("content", "parts", "output", "source", "functionResponse", "function_response")
"""Members of parts that have parts in them. What a tool is called with is not among them: it may look like anything."""
_SAMPLE: Final = 2048


class Content:
    """The content of one request; each method may be asked in any order, and none fails."""

    __slots__ = ("_endpoint", "_members", "_raw")

    def __init__(self, endpoint: str, raw: bytes) -> None:
        """
        Args:
            endpoint: the name of the client's endpoint.
            raw: the body as the client sent it.
        """
        self._endpoint = endpoint
        self._raw = raw
        self._members: dict[str, Any] | None = None

    def shape(self) -> Shape:
        """What it asks for besides words."""
        members = self._read()
        return Shape(
            tools=any(_has_members(members.get(name)) for name in _TOOLS),
            images=_has_image(self._turns()),
            json_schema=_has_schema(members),
        )

    def prompt(self) -> Prompt:
        """What it says last."""
        turns = self._turns()
        text = next(_said(reversed(turns)), "")
        rest = len(self._raw) - len(text.encode("utf-8", "surrogatepass"))
        return Prompt(text, len(turns), max(0, rest))

    def seed(self) -> bytes:
        """What the calls of one conversation have in common: the system prompt and the first turn of a person, as words
        alone, for marks of caching move from call to call. Of long ones both ends, and the length.

        At most some 8 KiB, to be hashed; empty where there is nothing, as of endpoints that hold no conversation.
        """
        turns = self._turns()
        if self._endpoint == "completions":
            return _bytes(next(_said(turns), ""))[:_SAMPLE]  # it grows at its end
        members = self._read()
        system = "\n".join(text for name in _INSTRUCTIONS if (text := _text(members.get(name))))
        for turn in turns:
            if not isinstance(turn, dict) or turn.get("role") not in ("system", "developer"):
                break
            system += _text(turn)
        first = next(_said(turns), "")
        return b"\0".join((_ends(system), _ends(first))) if system or first else b""

    def _read(self) -> dict[str, Any]:
        if self._members is None:
            try:
                found = _decode(self._raw)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                found = None
            self._members = found if isinstance(found, dict) else {}
        return self._members

    def _turns(self) -> list[Any]:
        """The turns of the conversation; one that is a mere string, which is a person's, among them."""
        name = _CONVERSATIONS.get(self._endpoint)
        given = None if name is None else self._read().get(name)
        if isinstance(given, str):
            return [given]
        if not isinstance(given, list):
            return []
        # Several prompts of one completion are no turns.
        return ["\n".join(filter(_is_text, given))] if self._endpoint == "completions" else given


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _said(turns: Iterable[Any]) -> Iterator[str]:
    """What persons say in these turns; those that only bring results of tools say nothing."""
    for turn in turns:
        if isinstance(turn, str) or (isinstance(turn, dict) and _is_of_person(turn)):
            text = _text(turn)
            if text:
                yield text


def _is_of_person(turn: dict[str, Any]) -> bool:
    # Items of a Responses request that are no messages (reasoning, calls of tools) have no role.
    role, kind = turn.get("role", "user"), turn.get("type", "message")
    return bool(role == "user" and kind == "message")


def _text(value: Any) -> str:
    """The words of a string, a turn, a part, or a list of them."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        for name in ("text", "content", "parts"):
            if name in value:
                inner = value[name]
                break
        else:
            return ""
        if isinstance(inner, str):
            return inner
        value = inner
    if not isinstance(value, list):
        return ""
    words = (part.get("text") if isinstance(part, dict) else part for part in value)
    return "\n".join(word for word in words if isinstance(word, str) and word)


def _ends(text: str) -> bytes:
    whole = _bytes(text)
    if len(whole) <= 2 * _SAMPLE:
        return whole
    return b"%d:%b%b" % (len(whole), whole[:_SAMPLE], whole[-_SAMPLE:])


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _has_members(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _has_image(turns: list[Any]) -> bool:
    waiting: list[Any] = [turns]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            kind = one.get("type")
            if isinstance(kind, str) and kind in _IMAGES:
                return True
            for name in _MEDIA:
                if name in one and _is_image(one[name]):
                    return True
            for name in _NESTS:
                inner = one.get(name)
                if inner and not isinstance(inner, str):
                    waiting.append(inner)
    return False


def _is_image(media: Any) -> bool:
    if not isinstance(media, dict):
        return False
    kind = media.get("mimeType", media.get("mime_type"))
    return isinstance(kind, str) and kind.lower().startswith("image/")


def _has_schema(members: dict[str, Any]) -> bool:
    for place in _FORMATS:
        value: Any = members
        for step in place:
            value = value.get(step) if isinstance(value, dict) else None
        if isinstance(value, dict) and value.get("type") == "json_schema":
            return True
    for name in _CONFIGS:
        config = members.get(name)
        if isinstance(config, dict) and any(config.get(schema) is not None for schema in _SCHEMAS):
            return True
    return False
