"""A neutral request as the body of `POST /v1/chat/completions`, in the host's own dialect of it.

Converted: a budget of thinking becomes the nearest effort, instructions a first message, a schema is strict where
it can be. Every stream is asked for its usage. What the API has no member for is refused, unless the host's row
names it (`Host.renamed`): then it is a member of that host's (`top_k`, `cache_control`, `reasoning_details`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llmgw.canonical import Chat, Effort, Json, JsonFormat, Reasoning
from llmgw.dialects import hints, json_text
from llmgw.dialects import reasoning as efforts
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.openai_chat import tools
from llmgw.dialects.openai_chat.history import History
from llmgw.dialects.openai_chat.names import FIELDS
from llmgw.dialects.openai_chat.spelling import NAME, words_of
from llmgw.errors import InvalidRequest

_BUDGET_EFFORTS: Final[tuple[Effort, ...]] = ("none", "low", "medium", "high")
"""What a budget may become: the efforts that every reasoning model knows, and none."""
_TIERS: Final = frozenset({"auto", "default", "flex", "priority", "scale", "fast"})
_STOPS: Final = 4
_NOTHING: Final[Mapping[str, tuple[Json, ...]]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "tool_choice": ("auto",),
    "parallel_tool_calls": (True,),
    "service_tier": ("auto", "default"),
    "verbosity": ("medium",),
    "temperature": (1,),
    "top_p": (1,),
    "store": (False,),
}
"""This API's documented defaults: a host that has no such member loses nothing by them."""
_ADVISORY: Final = frozenset({"user", "metadata", "prompt_cache_key", *hints.HINTS})


def body(chat: Chat, to: Recipient, losses: Losses) -> bytes:
    """The body of the request.

    Raises:
        UnsupportedParameter: through `losses`.
        InvalidRequest: the request contradicts itself.
    """
    try:
        return json_text.to_provider(_request(chat, to, losses))
    except RecursionError:
        raise InvalidRequest("The request is nested too deeply.") from None


def _request(chat: Chat, to: Recipient, losses: Losses) -> dict[str, Json]:
    own = chat.dialect == NAME
    if not own:
        # First of all: a part of the conversation may be in what only the other API has.
        hints.account(chat.native, losses)
    written: dict[str, Json] = {"model": to.model, "messages": History(chat, to, losses).write()}
    written.update(tools.write(chat, to, losses))
    if chat.max_tokens is not None:
        written["max_completion_tokens"] = chat.max_tokens
    _sampling(chat, to, losses, written)
    _thinking(chat, to, losses, written)
    if chat.format is not None:
        _format(chat.format, own, to, losses, written)
    _service(chat, losses, written)
    if chat.stream:
        written["stream"] = True
        if to.host.asks_for_usage:
            written["stream_options"] = {"include_usage": True}
    if own:
        _put_back(chat, written)
    return _for_host(to, losses, written)


def _put_back(chat: Chat, written: dict[str, Json]) -> None:
    """The members that only this API has, and its own words for the others."""
    words = dict(words_of(chat.native))
    for name in ("tool_choice", "function_call", tools.FUNCTIONS):
        words.pop(name, None)
    if "safety_identifier" in words:
        written.pop("user", None)
    if "reasoning" in words:
        written.pop("reasoning_effort", None)
    for name, value in {**chat.native, **words}.items():
        there = written.get(name)
        if name == "stream_options" and isinstance(there, dict) and isinstance(value, dict):
            written[name] = {**there, **value}
        elif name == "max_tokens":
            written[name] = value
        else:
            written.setdefault(name, value)
    both = words_of(chat.native).get("stream_options")
    if both and chat.native.get("stream_options"):
        written["stream_options"] |= chat.native["stream_options"]


def _sampling(chat: Chat, to: Recipient, losses: Losses, written: dict[str, Json]) -> None:
    own = chat.dialect == NAME
    for field in ("temperature", "top_p"):
        value = getattr(chat, field)
        if value is None:
            continue
        if to.capabilities.sampling is False:
            if value != 1:
                losses.refuse(field, "it takes no sampling parameters")
        elif not own and not 0 <= value <= _MOST[field]:
            losses.refuse(field, f"it must be from 0 to {_MOST[field]}")
        else:
            written[field] = value
    if chat.top_k is not None:
        if own or "top_k" in to.host.renamed:
            written["top_k"] = chat.top_k
        else:
            losses.refuse("top_k", "it has no such setting")
    stop = list(chat.stop)
    if len(stop) > _STOPS and not own:
        losses.refuse("stop", f"it takes {_STOPS} stop sequences at most")
        stop = stop[:_STOPS]
    if stop:
        written["stop"] = stop
    for field in ("n", "seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"):
        value = getattr(chat, field)
        if value is not None:
            written[field] = value
    if chat.top_logprobs is not None and not chat.logprobs and not own:
        del written["top_logprobs"]  # belongs to logprobs


_MOST: Final = {"temperature": 2, "top_p": 1}


def _thinking(chat: Chat, to: Recipient, losses: Losses, written: dict[str, Json]) -> None:
    wish = chat.reasoning
    if wish is None:
        return
    style = to.capabilities.reasoning
    if style == "none":
        if efforts.budget(wish) not in (0, None) or wish.adaptive:
            losses.refuse("reasoning", "it does not think")
        elif wish.show or wish.summary:
            losses.advise("reasoning")
        return
    effort = _effort(wish)
    if effort is not None:
        written["reasoning_effort"] = effort
    if "reasoning" in words_of(chat.native) and chat.dialect == NAME:
        return
    if wish.show is not None or wish.summary is not None:
        # What is shown of thoughts is up to the host here.
        if effort is None:
            losses.advise("reasoning")
        elif wish.show is not None:
            losses.advise("reasoning.show")
        else:
            losses.advise("reasoning.summary")


def _effort(wish: Reasoning) -> Effort | None:
    if wish.effort is not None:
        return wish.effort
    if wish.budget_tokens is not None:
        return efforts.effort(wish, _BUDGET_EFFORTS)
    return "medium" if wish.adaptive else None  # its default, by which the model decides


def _format(wanted: JsonFormat, own: bool, to: Recipient, losses: Losses, written: dict[str, Json]) -> None:
    if wanted.schema is None:
        written["response_format"] = {"type": "json_object"}
        return
    if to.capabilities.json_schema is False:
        losses.refuse("format", "it gives no JSON by a schema")
        return
    strict = wanted.strict
    if strict is None and not own and can_be_strict(wanted.schema):
        strict = True  # other APIs always hold the answer to the schema
    described = {
        "name": wanted.name if own else wanted.name or "answer",
        "description": wanted.description,
        "schema": wanted.schema,
        "strict": strict,
    }
    known = {name: value for name, value in described.items() if value is not None}
    written["response_format"] = {"type": "json_schema", "json_schema": known}


def can_be_strict(schema: Any) -> bool:
    """Whether a schema meets what OpenAI asks of strict ones: each object closed, with all its members required."""
    if isinstance(schema, list):
        return all(can_be_strict(one) for one in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        members, required = schema.get("properties"), schema.get("required")
        if not isinstance(members, dict) or schema.get("additionalProperties") is not False:
            return False
        if not isinstance(required, list) or any(name not in required for name in members):
            return False
    return all(
        can_be_strict(value) for name, value in schema.items() if name not in ("enum", "const", "default")
    )


def _service(chat: Chat, losses: Losses, written: dict[str, Json]) -> None:
    own = chat.dialect == NAME
    if chat.verbosity is not None:
        written["verbosity"] = chat.verbosity
    if chat.service_tier is not None:
        if own or chat.service_tier in _TIERS:
            written["service_tier"] = chat.service_tier
        else:
            losses.refuse("service_tier", "it has no such tier")
    if chat.user is not None:
        written["user"] = chat.user
    if chat.cache_key is not None:
        written["prompt_cache_key"] = chat.cache_key
    if chat.metadata is not None and own:
        written["metadata"] = chat.metadata
    elif chat.metadata:
        losses.advise("metadata")  # taken only with an answer that is stored


def _for_host(to: Recipient, losses: Losses, written: dict[str, Json]) -> dict[str, Json]:
    """The host's own names, and what it does not take."""
    for name in sorted(to.host.unsupported & written.keys()):
        value = written.pop(name)
        if value in (*_NOTHING.get(name, ()), [], {}):
            continue
        field = FIELDS.get(name, name)
        if name in _ADVISORY:
            losses.advise(field)
        else:
            losses.refuse(field, "the host that serves it does not take it")
    return {to.host.renamed.get(name, name): value for name, value in written.items()}
