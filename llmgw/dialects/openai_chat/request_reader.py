"""A client's `POST /v1/chat/completions` as a neutral request.

Source: the published OpenAPI document (`CreateChatCompletionRequest`), and the members that compatible hosts have
added and clients use: `top_k`, OpenRouter's `reasoning`, cache markers, thoughts in the history.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

from llmgw.canonical import (
    Chat,
    Effort,
    Json,
    JsonFormat,
    Message,
    Native,
    Reasoning,
    ToolResult,
)
from llmgw.dialects import members
from llmgw.dialects.members import Members, of_client
from llmgw.dialects.openai_chat import assistant, content, tools
from llmgw.dialects.openai_chat.spelling import NAME, keep

_EFFORTS: Final[Mapping[Json, Effort]] = {one: one for one in get_args(Effort)}
_VERBOSITIES: Final[Mapping[Json, Literal["low", "medium", "high"]]] = {
    "low": "low",
    "medium": "medium",
    "high": "high",
}
_ROLES: Final[Mapping[Json, Literal["system", "developer", "user"]]] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
}
_DEFAULTS: Final[Mapping[str, Json]] = {
    "store": False,
    "logit_bias": {},
    "modalities": ["text"],
    "prompt_cache_retention": "in_memory",
}
"""Members that only this API has, at the values that ask for nothing."""
_REASONING: Final = frozenset({"effort", "max_tokens", "exclude", "enabled"})


def read(body: bytes) -> Chat:
    """The request.

    Raises:
        InvalidRequest: names the field and what it must be.
    """
    of = members.request(body)
    native: dict[str, Json] = {}
    words: dict[str, Json] = {}
    model = of.need_text("model")
    if "messages" not in of:
        raise of.wrong("messages", "an array")
    messages = tuple(_message(one) for one in of.objects("messages"))
    stream = of.flag("stream") or False
    include_usage = _stream_options(of, native, words)
    for name, default in _DEFAULTS.items():
        if of.whole().get(name) == default:
            words[name] = of.any(name)
    choice = tools.read_choice(of, native, words)
    listed = tools.read(of, words)
    n = of.integer("n")
    if n is not None and n < 1:
        raise of.wrong("n", "a whole number of 1 or more")
    return Chat(
        dialect=NAME,
        model=model,
        messages=messages,
        tools=listed,
        tool_choice=choice,
        parallel_tool_calls=of.flag("parallel_tool_calls"),
        max_tokens=_limit(of, native),
        temperature=of.number("temperature"),
        top_p=of.number("top_p"),
        top_k=of.integer("top_k"),
        stop=_stop(of),
        n=n,
        seed=of.integer("seed"),
        presence_penalty=of.number("presence_penalty"),
        frequency_penalty=of.number("frequency_penalty"),
        logprobs=of.flag("logprobs"),
        top_logprobs=of.integer("top_logprobs"),
        format=_format(of, native, words),
        reasoning=_reasoning(of, native, words),
        verbosity=_verbosity(of, native),
        service_tier=of.text("service_tier"),
        user=_user(of, words),
        metadata=_metadata(of),
        cache_key=of.text("prompt_cache_key"),
        stream=stream,
        # The choice exists for streams only; a plain answer always has its usage.
        include_usage=include_usage or not stream,
        native=keep({**of.rest(), **native}, words),
    )


def _limit(of: Members, native: dict[str, Json]) -> int | None:
    """`max_completion_tokens`, or `max_tokens` as it was called."""
    limit, older = of.integer("max_completion_tokens"), of.integer("max_tokens")
    for name, value in (("max_completion_tokens", limit), ("max_tokens", older)):
        if value is not None and value < 0:
            raise of.wrong(name, "a whole number of 0 or more")
    if limit is not None and older not in (None, limit):
        native["max_tokens"] = older
    return older if limit is None else limit


def _stop(of: Members) -> tuple[str, ...]:
    if type(of.whole().get("stop")) is str:
        return (of.need_text("stop"),)
    return of.texts("stop")


def _user(of: Members, words: dict[str, Json]) -> str | None:
    """`safety_identifier`, or `user` as it was called; with both, the newer one is a member like any other."""
    user = of.text("user")
    if user is None and "safety_identifier" in of:
        user = words["safety_identifier"] = of.text("safety_identifier")
    return user


def _metadata(of: Members) -> dict[str, str] | None:
    metadata = of.object("metadata")
    if metadata is None:
        return None
    whole = metadata.whole()
    if any(type(value) is not str for value in whole.values()):
        raise of.wrong("metadata", "an object of strings")
    return whole


def _stream_options(of: Members, native: dict[str, Json], words: dict[str, Json]) -> bool:
    options = of.object("stream_options")
    if options is None:
        return False
    asked = options.flag("include_usage") or False
    left = dict(options.rest())
    if left.get("include_obfuscation") is False:  # what the gateway writes never has any
        words["stream_options"] = {"include_obfuscation": left.pop("include_obfuscation")}
    if left:
        native["stream_options"] = left
    return asked


def _format(of: Members, native: dict[str, Json], words: dict[str, Json]) -> JsonFormat | None:
    wanted = of.object("response_format")
    if wanted is None:
        return None
    whole = wanted.whole()
    kind = whole.get("type")
    if type(kind) is not str:
        raise wanted.wrong("type", "a string")
    if whole == {"type": "text"}:
        words["response_format"] = whole
        return None
    if whole == {"type": "json_object"}:
        return JsonFormat()
    described = whole.get("json_schema")
    if kind != "json_schema" or len(whole) > 2:
        native["response_format"] = whole
        return None
    if type(described) is not dict:
        raise wanted.wrong("json_schema", "an object")
    inner = Members(described, wanted.path("json_schema"), of_client)
    if described.keys() - {"name", "schema", "strict", "description"} or described.get("schema") is None:
        native["response_format"] = whole  # any JSON, but under a name
        return None
    schema = inner.object("schema")
    assert schema is not None
    return JsonFormat(
        schema=schema.whole(),
        name=inner.text("name"),
        description=inner.text("description"),
        strict=inner.flag("strict"),
    )


def _reasoning(of: Members, native: dict[str, Json], words: dict[str, Json]) -> Reasoning | None:
    said = of.text("reasoning_effort")
    effort = _EFFORTS.get(said)
    if said is not None and effort is None:
        native["reasoning_effort"] = said  # newer than this table
    whole = of.any("reasoning")
    if whole is None:
        return None if effort is None else Reasoning(effort=effort)
    found = _of_openrouter(whole) if said is None else None
    if found is None:
        native["reasoning"] = whole
        return None if effort is None else Reasoning(effort=effort)
    words["reasoning"] = whole
    return found


def _of_openrouter(whole: Any) -> Reasoning | None:
    """OpenRouter's `reasoning`; None where it is another host's."""
    if type(whole) is not dict or whole.keys() - _REASONING:
        return None
    said, tokens = whole.get("effort"), whole.get("max_tokens")
    hidden, enabled = whole.get("exclude"), whole.get("enabled")
    effort = _EFFORTS.get(said) if type(said) is str else None
    if (said is not None and effort is None) or (
        tokens is not None and (type(tokens) is not int or tokens < 0)
    ):
        return None
    if type(hidden) not in (bool, type(None)) or type(enabled) not in (bool, type(None)):
        return None
    if effort is None and tokens is None and enabled is not None:
        effort = "medium" if enabled else "none"
    return Reasoning(
        effort=effort if tokens is None else None,
        budget_tokens=tokens,
        show=None if hidden is None else not hidden,
    )


def _verbosity(of: Members, native: dict[str, Json]) -> Literal["low", "medium", "high"] | None:
    said = of.text("verbosity")
    if said is not None and said not in _VERBOSITIES:
        native["verbosity"] = said
    return _VERBOSITIES.get(said)


def _message(of: Members) -> Message:
    role = of.text("role")
    if role == "assistant":
        name = of.text("name")
        said = assistant.read(of, of_client, of_client=True)
        return Message(role="assistant", parts=said.parts, name=name, native=said.native)
    if role in ("tool", "function"):
        return Message(role="tool", parts=(_result(of, role),), native=of.rest())
    known = _ROLES.get(role)
    if known is None:
        raise of.wrong("role", "'system', 'developer', 'user', 'assistant' or 'tool'")
    name = of.text("name")
    words: dict[str, Json] = {}
    if of.whole().get("content") == []:
        words["content"] = of.any("content")
        return Message(role=known, parts=(), name=name, native=keep(_left(of, words), words))
    parts = content.read(of)
    return Message(role=known, parts=parts, name=name, native=keep(_left(of, words), words))


def _left(of: Members, words: dict[str, Json]) -> Native:
    """What is left of a message; what says nothing there is no loss elsewhere."""
    left = dict(of.rest())
    for name in [name for name, value in left.items() if value in ([], "")]:
        words[name] = left.pop(name)
    return left


def _result(of: Members, role: str) -> ToolResult:
    words: dict[str, Json] = {}
    cache = content.cache_mark(of, words)
    name = of.text("name")
    if role == "function":
        words["role"] = role
        call_id = None
        if name is None:
            raise of.wrong("name", "a string")
    else:
        call_id = of.need_text("tool_call_id")
    if of.whole().get("content") in (None, []):
        words["content"] = of.any("content")
    parts = content.read_any(of) or ()
    return ToolResult(call_id=call_id, name=name, parts=parts, cache=cache, native=keep({}, words))
