"""`generationConfig`: sampling, limits, the answer's format and thinking, in neutral words."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from llmgw.canonical import Effort, Json, JsonFormat, Reasoning
from llmgw.dialects.gemini import schema
from llmgw.dialects.gemini.spelling import Fields

PREFIX: Final = "generationConfig."
_JSON: Final = "application/json"
_EFFORTS: Final[dict[str, Effort]] = {
    "MINIMAL": "minimal",
    "LOW": "low",
    "MEDIUM": "medium",
    "HIGH": "high",
    "XHIGH": "xhigh",
}


class Config(Struct, kw_only=True):
    """What a `generationConfig` says; the names are those of `Chat`."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    n: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    format: JsonFormat | None = None
    reasoning: Reasoning | None = None


def read(config: Fields, native: dict[str, Json], words: dict[str, Json]) -> Config:
    """Read `config`.

    Args:
        native: takes what the neutral model has no field for, by its path.
        words: takes Gemini's own words for what it has a field for.
    """
    found = Config(
        temperature=config.number("temperature"),
        top_p=config.number("topP"),
        top_k=config.integer("topK"),
        n=config.integer("candidateCount"),
        max_tokens=config.integer("maxOutputTokens"),
        stop=config.strings("stopSequences"),
        seed=config.integer("seed"),
        presence_penalty=config.number("presencePenalty"),
        frequency_penalty=config.number("frequencyPenalty"),
        logprobs=config.flag("responseLogprobs"),
        top_logprobs=config.integer("logprobs"),
        format=_format(config, words),
        reasoning=_reasoning(config, native, words),
    )
    if config.whole().get("responseModalities") in (["TEXT"], ["text"], []):
        # Plain text is what every other API answers with, so asking for it is no loss there.
        words[PREFIX + "responseModalities"] = config.any("responseModalities")
    native.update(at(PREFIX, config))
    return found


def at(prefix: str, rest: Fields) -> dict[str, Json]:
    """What is left of a container, each member under its path."""
    for name in rest.rest():
        if "." in name:  # no field has such a name, and as a path it would stand for another one
            raise rest.wrong(name, "left out")
    return {prefix + name: value for name, value in rest.rest().items()}


def _format(config: Fields, words: dict[str, Json]) -> JsonFormat | None:
    media_type = config.whole().get("responseMimeType")
    openapi, json_schema = config.whole().get("responseSchema"), config.whole().get("responseJsonSchema")
    if media_type not in (None, _JSON, "text/plain") or (
        media_type == "text/plain" and (openapi or json_schema)
    ):
        config.text("responseMimeType")  # a string it must be
        config.whole()["responseMimeType"] = media_type
        return None  # `text/x.enum` and whatever comes: stays with its schema in the rest
    config.any("responseMimeType")
    if media_type == "text/plain":
        words[PREFIX + "responseMimeType"] = media_type
        return None
    if openapi is not None and json_schema is not None:
        raise config.wrong("responseSchema", "left out where responseJsonSchema is given")
    if openapi is not None:
        words[PREFIX + "responseSchema"] = config.any("responseSchema")
        return JsonFormat(schema=schema.to_json_schema(openapi, config.path("responseSchema")))
    if json_schema is not None:
        if type(json_schema) not in (dict, bool):
            raise config.wrong("responseJsonSchema", "an object")
        return JsonFormat(schema=config.any("responseJsonSchema"))
    return None if media_type is None else JsonFormat()


def _reasoning(config: Fields, native: dict[str, Json], words: dict[str, Json]) -> Reasoning | None:
    thinking = config.fields("thinkingConfig")
    if thinking is None:
        return None
    budget = thinking.integer("thinkingBudget")
    level = thinking.text("thinkingLevel")
    show = thinking.flag("includeThoughts")
    native.update(at(PREFIX + "thinkingConfig.", thinking))
    if level is not None:
        words[PREFIX + "thinkingConfig.thinkingLevel"] = level
    effort = None
    if level is not None and level.upper() != "THINKING_LEVEL_UNSPECIFIED":
        effort = _EFFORTS.get(level.upper())
        if effort is None:
            raise thinking.wrong("thinkingLevel", "one of " + ", ".join(_EFFORTS))
        if budget is not None:
            raise thinking.wrong("thinkingBudget", "left out where thinkingLevel is given")
    if budget is not None and budget < -1:
        raise thinking.wrong("thinkingBudget", "-1 or more")
    return Reasoning(
        effort=effort,
        budget_tokens=None if budget == -1 else budget,
        adaptive=budget == -1,
        show=show,
    )
