"""Nothing vanishes in silence: what a request says is in the body written for a target, or named as left out.

The body is read back by the target's own codec and compared field by field with what the client asked for; what is
said in words (texts, images, links, names) is looked for in the body itself, so that Bedrock, which no client
speaks, is held to the same.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmgw.canonical import (
    CacheMark,
    Chat,
    Inline,
    JsonFormat,
    Link,
    Media,
    NativePart,
    NativeTool,
    Part,
    PlainText,
    Reasoning,
    Refusal,
    Stored,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolResult,
)
from llmgw.dialects import reasoning

MEANINGLESS: Final[Mapping[str, tuple[Any, ...]]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "parallel_tool_calls": (True,),
    "service_tier": ("auto", "default"),
    "stop": ((),),
    "verbosity": ("medium",),
    "metadata": ({},),
}
"""Documented defaults: saying them asks for nothing."""

SAME: Final = (
    "max_tokens",
    "top_p",
    "top_k",
    "stop",
    "n",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "verbosity",
    "user",
    "cache_key",
)
"""Fields whose value is the same in every API that has them."""
CONVERTED: Final = ("temperature", "reasoning", "service_tier", "parallel_tool_calls", "format")
"""Fields that are carried in another form: they must be there."""


class Ledger:
    """One translation's account.

    Attributes:
        open: what the client said and nobody accounts for.
    """

    def __init__(
        self, chat: Chat, body: Any, back: Chat | None, names: Mapping[str, str], dropped: list[str]
    ):
        """
        Args:
            chat: what the client asked.
            body: what was written for the target.
            back: that body as the target's own codec reads it; None where it reads no requests.
            names: the client's names of fields.
            dropped: what the translation says it left out.
        """
        self._chat, self._body, self._back = chat, body, back
        self._names, self._dropped = names, dropped
        self._words = list(_strings(body))
        self._values = [*_values(body)]
        self.open: list[str] = []
        self._parts()
        self._tools()
        self._natives(chat.native, "")
        if back is not None:
            self._fields(back)

    def _is_named(self, field: str) -> bool:
        name = self._names.get(field, field)
        return name in self._dropped

    def _need(self, carried: bool, field: str, what: str) -> None:
        if not carried and not self._is_named(field):
            self.open.append(f"{field}: {what[:120]}")

    def _says(self, text: str) -> bool:
        return any(text in word for word in self._words)

    def _fields(self, back: Chat) -> None:
        for field in (*SAME, *CONVERTED):
            said, carried = getattr(self._chat, field), getattr(back, field)
            if said is None or said in MEANINGLESS.get(field, ()):
                continue
            if field == "top_logprobs" and not self._chat.logprobs:
                continue  # a number of alternatives to nothing
            if field == "reasoning" and carried is None and not _thinks(said):
                continue  # not thinking is what the target does unless it is asked
            if field in SAME:
                self._need(carried == said, field, f"{said!r} became {carried!r}")
            elif field == "format" and isinstance(carried, JsonFormat):
                # A target without a name or a description of the format has them in the schema.
                kept = (
                    {name: value for name, value in carried.schema.items() if name in said.schema}
                    if said.schema
                    else carried.schema
                )
                self._need(kept == said.schema, field, f"{said.schema} became {carried.schema}")
            else:
                self._need(carried is not None, field, f"{said!r} is gone")
        choice = self._chat.tool_choice
        if choice is not None and choice.mode != "auto" and self._chat.tools:
            carried = back.tool_choice
            self._need(
                carried is not None and carried.mode == choice.mode,
                "tool_choice",
                f"{choice} became {carried}",
            )
            every = tuple(tool.name for tool in self._chat.tools if isinstance(tool, Tool))
            narrowed = choice.names and set(choice.names) != set(every)
            if carried is not None and narrowed and carried.names != choice.names:
                self._need(False, "tool_choice.names", f"{choice} became {carried}")

    def _natives(self, native: Mapping[str, Any], prefix: str) -> None:
        for name, value in native.items():
            path = self._names.get(prefix + name, prefix + name)
            named = any(one == path or one.startswith((path + ".", path + "[")) for one in self._dropped)
            if value is None or named:
                continue
            if isinstance(value, dict) and not prefix:
                self._natives(value, f"{name}.")
            else:
                self.open.append(f"native {prefix}{name}: {json.dumps(value)[:120]}")

    def _parts(self) -> None:
        for part in self._chat.system:
            self._part(part)
        for message in self._chat.messages:
            for part in message.parts:
                self._part(part)
            if message.name is not None:
                self._need(self._says(message.name), "message.name", message.name)

    def _part(self, part: Part) -> None:
        if isinstance(part, Text):
            # A tool's result that is JSON stands as an object where the API wants one.
            carried = not part.text.strip() or self._says(part.text) or _loaded(part.text) in self._values
            self._need(carried, "part.text", part.text)
            self._cache(part.cache)
        elif isinstance(part, Refusal):
            self._need(self._says(part.text), "part.refusal", part.text)
        elif isinstance(part, Thought):
            said = part.text or part.redacted or part.signature
            self._need(said is None or self._says(said), "part.thought", str(said))
        elif isinstance(part, Media):
            self._media(part)
        elif isinstance(part, ToolCall):
            carried = _loaded(part.arguments) in self._values or part.arguments in self._words
            self._need(carried and self._says(part.name), "part.tool_call", f"{part.name}({part.arguments})")
            self._cache(part.cache)
        elif isinstance(part, ToolResult):
            for one in part.parts:
                self._part(one)
            self._cache(part.cache)
        elif isinstance(part, NativePart):
            self._need(False, f"part.{part.kind}", part.kind)

    def _media(self, part: Media) -> None:
        source = part.source
        if isinstance(source, Inline):
            self._need(self._says(source.data), f"part.{part.kind}", source.media_type)
        elif isinstance(source, Link):
            self._need(self._says(source.url), f"part.{part.kind}", source.url)
        elif isinstance(source, PlainText):
            inline = base64.b64encode(source.text.encode()).decode()
            self._need(self._says(source.text) or self._says(inline), f"part.{part.kind}", source.text)
        elif isinstance(source, Stored):
            self._need(self._says(source.id), f"part.{part.kind}", source.id)
        if self._is_named(f"part.{part.kind}"):
            return  # left out, and with it how it was to be looked at and cached
        if part.detail == "low":  # the others are what an API without the choice does
            self._need(self._says(part.detail), "part.detail", part.detail)
        self._cache(part.cache)

    def _cache(self, mark: CacheMark | None, field: str = "part.cache") -> None:
        if mark is not None:
            marks = {"cache_control", "cachePoint", "prompt_cache_breakpoint"}
            self._need(not marks.isdisjoint(_names(self._body)), field, "")

    def _tools(self) -> None:
        for tool in self._chat.tools:
            if isinstance(tool, NativeTool):
                self._need(False, f"tool.{tool.kind}", tool.kind)
                continue
            if tool.custom and self._is_named("tool.custom"):
                continue
            choice = self._chat.tool_choice
            if choice is not None and choice.names and tool.name not in choice.names:
                continue  # it must not be called: a target that cannot say so is not told of it
            self._need(self._says(tool.name), f"tool.{tool.name}", tool.name)
            if tool.description:
                self._need(self._says(tool.description), "tool.description", tool.description)
            self._tool(tool)

    def _tool(self, tool: Tool) -> None:
        self._cache(tool.cache, "tool.cache")
        if self._back is None:
            return
        carried = next(
            (one for one in self._back.tools if isinstance(one, Tool) and one.name == tool.name), None
        )
        if carried is None:
            self.open.append(f"tool {tool.name}")
            return
        if tool.parameters:
            same = carried.parameters == tool.parameters
            self._need(same, "tool.parameters", f"{tool.parameters} became {carried.parameters}")
        if tool.strict and not (self._chat.tool_choice and self._chat.tool_choice.mode == "none"):
            # Gemini holds calls to their schema in these two modes.
            held = {"ANY", "VALIDATED"} & set(self._words)
            self._need(carried.strict is True or bool(held), "tool.strict", tool.name)


def _thinks(said: Reasoning) -> bool:
    """Whether the client asks for anything that it would not get unasked."""
    return bool(reasoning.budget(said)) or said.adaptive or said.show is True


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from _strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from _strings(member)


def _values(value: Any) -> Iterator[Any]:
    """Every object in the body, and every object that stands in it as text."""
    if isinstance(value, dict):
        yield value
        for member in value.values():
            yield from _values(member)
    elif isinstance(value, list):
        for member in value:
            yield from _values(member)
    elif isinstance(value, str) and value[:1] == "{":
        try:
            yield json.loads(value)
        except ValueError:
            return


def _loaded(text: str) -> Any:
    """An object that is given as text; something that is nowhere, where it is none."""
    try:
        loaded = json.loads(text)
    except ValueError:
        return None
    return loaded if isinstance(loaded, dict) else None


def _names(value: Any) -> frozenset[str]:
    if isinstance(value, dict):
        return frozenset(value).union(*map(_names, value.values()))
    if isinstance(value, list):
        return frozenset().union(*map(_names, value))
    return frozenset()


def stands_in(param: str, body: Any, chat: Chat, names: Mapping[str, str]) -> bool:
    """Whether the field an error names is in the request.

    Either its last step is a member's name, or the kind or role of one of its parts; or it is the documented name of
    something that the request has in other words.
    """
    last = param.rpartition(".")[2].partition("[")[0]
    said = _names(body) | {one for part in _dicts(body) for one in (part.get("type"), part.get("role"))}
    if any(_bare(last) == _bare(str(one)) or str(one).startswith(last + "_") for one in said):
        return True
    fields = {*chat.__struct_fields__, *names}
    return any(names.get(field, field) == param and _has(chat, field) for field in fields)


def _bare(name: str) -> str:
    return name.replace("_", "").lower()


def _has(chat: Chat, field: str) -> bool:
    of_chat = getattr(chat, field, None)
    if of_chat is not None and of_chat not in MEANINGLESS.get(field, ()):
        return True
    parts = [part for message in chat.messages for part in message.parts]
    parts += [one for part in parts if isinstance(part, ToolResult) for one in part.parts]
    kinds = {f"part.{part.kind}" for part in parts if isinstance(part, Media | NativePart)}
    kinds |= {f"part.{type(part).__name__.lower()}" for part in parts}
    kinds |= {"part.citations" for part in parts if isinstance(part, Text) and part.citations}
    return field in kinds


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for member in value.values():
            yield from _dicts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _dicts(member)
