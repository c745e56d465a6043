"""A neutral request as the body of `POST /model/{modelId}/converse`, or `converse-stream`: the URL says which model.

Converted: documents get a name where they have none, a format's schema is JSON text within the JSON, metadata and the
end user's id are `requestMetadata`, which labels the provider's log. What only one family of models understands stands
in `additionalModelRequestFields`. Refused: what the API has no member for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Chat, Json, JsonFormat
from llmgw.dialects import hints
from llmgw.dialects.anthropic.spelling import json_text
from llmgw.dialects.bedrock import families, finish, thinking, tools
from llmgw.dialects.bedrock.history import History
from llmgw.dialects.bedrock.spelling import NAME
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.json_text import to_provider

Block = dict[str, Json]

_TIERS: Final = frozenset({"default", "flex", "priority", "reserved"})
_NEUTRAL: Final[Mapping[str, tuple[Json, ...]]] = {
    "n": (None, 1),
    "seed": (None,),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "verbosity": (None, "medium"),
}
"""Fields without a counterpart, and the values that ask for nothing."""

_key_fits: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{1,256}").fullmatch
_value_fits: Final = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,\-.]{0,256}").fullmatch
_MOST_LABELS: Final = 16
_USER: Final = "user"
"""The label that has the end user's id."""


def body(chat: Chat, to: Recipient, losses: Losses) -> bytes:
    """The body of the request.

    Raises:
        UnsupportedParameter: through `losses`.
        InvalidRequest: the request contradicts itself.
    """
    own = chat.dialect == NAME
    history = History(chat, to, losses)
    messages, system = history.write()
    fields: Block = {}
    output: Block = {}
    thinking.write(chat, to, losses, fields, output)
    if chat.format is not None:
        _format(chat.format, to, losses, output)
    written: Block = {
        "messages": messages,
        "system": system,
        "inferenceConfig": _inference(chat, to, losses, fields),
        "toolConfig": tools.write(chat, to, losses, history.calls),
        "outputConfig": output,
        "additionalModelRequestFields": fields,
        "requestMetadata": _labels(chat, losses),
        "serviceTier": _tier(chat, losses),
    }
    if chat.stop and families.of(to.model).claude:
        written["additionalModelResponseFieldPaths"] = ["/" + finish.SEQUENCE]
    written = {name: value for name, value in written.items() if value or name == "messages"}
    for field, nothing in _NEUTRAL.items():
        if getattr(chat, field) not in nothing:
            losses.refuse(field, "it has no such setting")
    if chat.cache_key:
        losses.advise("cache_key")
    if own:
        written.update(chat.native)
    else:
        hints.account(chat.native, losses)
    for name in sorted(to.host.unsupported & written.keys()):
        losses.refuse(name, "the host that serves it does not take it")
        del written[name]
    return to_provider({to.host.renamed.get(name, name): value for name, value in written.items()})


def _inference(chat: Chat, to: Recipient, losses: Losses, fields: Block) -> Block:
    """`inferenceConfig`; what only one family has goes into its own `fields`."""
    config: Block = {}
    if chat.max_tokens is not None:
        config["maxTokens"] = chat.max_tokens
    fixed = to.capabilities.sampling is False
    for field, word in (("temperature", "temperature"), ("top_p", "topP")):
        value = getattr(chat, field)
        if value is None:
            continue
        if field == "top_p" and value == 1 and chat.temperature is not None:
            losses.advise(field)  # asks for nothing, and newer models of Claude take one of the two only
        elif fixed and value != 1:
            losses.refuse(field, "it takes no sampling parameters")
        elif not 0 <= value <= 1:
            losses.refuse(field, f"its {word} is from 0 to 1")
        else:
            config[word] = value
    if chat.top_k is not None:
        _top_k(chat.top_k, to, losses, fields)
    stop = [one for one in chat.stop if one.strip()]
    if len(stop) < len(chat.stop):
        losses.refuse("stop", "a stop sequence must not be white space only")
    if stop:
        config["stopSequences"] = stop
    return config


def _top_k(value: int, to: Recipient, losses: Losses, fields: Block) -> None:
    path = families.of(to.model).top_k
    if to.capabilities.sampling is False:
        losses.refuse("top_k", "it takes no sampling parameters")
    elif not path:
        losses.refuse("top_k", "it has no such setting that is known")
    else:
        for name in path[:-1]:
            fields = fields.setdefault(name, {})
        fields[path[-1]] = value


def _format(wanted: JsonFormat, to: Recipient, losses: Losses, output: Block) -> None:
    if wanted.schema is None:
        losses.refuse("format", "it gives JSON by a schema only")
        return
    if to.capabilities.json_schema is False:
        losses.refuse("format", "it gives no JSON by a schema")
        return
    text = json_text(wanted.schema)
    if text is None:
        losses.refuse("format.schema", "it is nested too deeply")
        return
    schema: Block = {"schema": text}
    if wanted.name is not None:
        schema["name"] = wanted.name
    if wanted.description is not None:
        schema["description"] = wanted.description
    output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}


def _labels(chat: Chat, losses: Losses) -> Block:
    """`requestMetadata`: what does not fit its letters and its number is left out."""
    labels: Block = {}
    for name, value in (chat.metadata or {}).items():
        if len(labels) < _MOST_LABELS and _key_fits(name) and _value_fits(value):
            labels[name] = value
        else:
            losses.advise("metadata")
    if chat.user is not None:
        if len(labels) < _MOST_LABELS and _USER not in labels and _value_fits(chat.user):
            labels[_USER] = chat.user
        else:
            losses.advise("user")
    return labels


def _tier(chat: Chat, losses: Losses) -> Block | None:
    if chat.service_tier in (None, "auto"):
        return None
    if chat.service_tier in _TIERS:
        return {"type": chat.service_tier}
    losses.refuse("service_tier", "it has no such tier")
    return None
