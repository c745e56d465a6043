"""A host's whole answer, `chat.completion`, in neutral words.

What an answer has beyond the neutral model stands in `native`: members of a message under their choice, with
`message.` before their names. Perplexity's lists of sources become citations of the first text.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from llmgw.canonical import Answer, Choice, Json, Native, Part, ProviderError, Text, Usage
from llmgw.dialects import members
from llmgw.dialects.members import Members, of_provider
from llmgw.dialects.openai_chat import assistant, failure, finish, logprobs, sources, usage
from llmgw.dialects.openai_chat.spelling import NAME, keep, words_of
from llmgw.errors import UpstreamFailed

MESSAGE: Final = "message."
"""Stands before the members of a message among those of its choice."""


def read(body: bytes) -> Answer:
    """The answer.

    Raises:
        UpstreamFailed: it is none.
    """
    whole = members.answer_object(body)
    if failure.is_error(whole):
        raise failed(failure.of_event(whole))
    of = Members(whole, "", of_provider)
    if not of.whole().get("choices"):
        raise of_provider("choices", "an array of at least one choice")
    words: dict[str, Json] = {}
    of.any("object")
    texts = {name: _text(of, name, words) for name in ("id", "model", "service_tier")}
    created = of.integer("created")
    choices = [_choice(one, index) for index, one in enumerate(of.objects("choices"))]
    native = dict(of.rest())
    found = sources.listed(native)
    if found:
        choices[0] = replace(choices[0], parts=_cited(choices[0].parts, found))
    for name in sources.LISTS if found else ():
        if name in native:
            words[name] = native.pop(name)
    counted = used(native)
    native.pop("usage", None)
    for name in [name for name, value in native.items() if value in ("", [], {})]:
        words[name] = native.pop(name)
    return Answer(
        dialect=NAME,
        id=texts["id"],
        model=texts["model"],
        created=created,
        choices=tuple(choices),
        usage=counted,
        service_tier=texts["service_tier"],
        native=keep(native, words),
    )


def failed(error: ProviderError) -> UpstreamFailed:
    """An error that came with status 200."""
    return UpstreamFailed(
        f"The provider reported an error: {error.message}", detail=f"with status 200, as {error.code}"
    )


def used(native: Native) -> Usage | None:
    """The usage, which Groq's streams have in `x_groq`."""
    raw = native.get("usage")
    beside = native.get("x_groq")
    if raw is None and type(beside) is dict:
        raw = beside.get("usage")
    if raw is None or raw == {}:
        return None
    if type(raw) is not dict:
        raise of_provider("usage", "an object")
    return usage.read(raw)


def _text(of: Members, name: str, words: dict[str, Json]) -> str | None:
    """A member that some hosts leave empty."""
    value = of.text(name)
    if value == "":
        words[name] = value
    return value or None


def _choice(of: Members, position: int) -> Choice:
    index = of.integer("index")
    if index is not None and not 0 <= index < 1 << 16:
        raise of.wrong("index", "a small whole number")
    if failure.is_error(of.whole()):  # OpenRouter
        raise failed(failure.of_event(of.whole()))
    message = of.object("message")
    if message is None:
        raise of.wrong("message", "an object")
    message.any("role")
    said = assistant.read(message, of_provider, of_client=False)
    reason = of.text("finish_reason")
    words = {MESSAGE + name: value for name, value in words_of(said.native).items()}
    given = of.any("logprobs")
    tokens, refused = logprobs.read(given, of.path("logprobs"))
    if given is not None and (tokens is None or given != {"content": tokens, "refusal": None}):
        words["logprobs"] = given
    native: dict[str, Json] = {MESSAGE + name: value for name, value in said.native.items()}
    if refused is not None:
        native["logprobs"] = {"refusal": refused}
    native.update(of.rest())
    return Choice(
        index=position if index is None else index,
        parts=said.parts,
        finish=None if reason is None else finish.read(reason),
        logprobs=tokens,
        native=keep(native, words),
    )


def _cited(parts: tuple[Part, ...], found: tuple[Any, ...]) -> tuple[Part, ...]:
    """The parts, the first text with the sources that the answer lists."""
    for at, part in enumerate(parts):
        if isinstance(part, Text):
            cited = replace(part, citations=(*part.citations, *found))
            return (*parts[:at], cited, *parts[at + 1 :])
    return parts
