"""What an answer says, told in one form for every API, by readers of their own.

The codecs are held against these: the view of a provider's answer and the view of what a client of another API
was given must agree. They are written from the published APIs and share nothing with the codecs. They read JSON as
the SDKs give it back (`dump`) or as it was recorded, so that hosts that stretch an API are no problem here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.provider.recordings import Recording
from tests.translation import sdk
from tests.translation.corpus import body_of, dialect_of
from tests.translation.views import anthropic, gemini, openai_chat, openai_responses
from tests.translation.views.said import Json, View, dump

VIEWS: Final[Mapping[str, Callable[[Json], View]]] = {
    "openai_chat": openai_chat.view,
    "openai_responses": openai_responses.view,
    "anthropic": anthropic.view,
    "gemini": gemini.view,
}


def of_provider(recording: Recording) -> View:
    """What the recorded answer says."""
    dialect = dialect_of(recording)
    assert dialect is not None
    if not recording.streaming:
        return VIEWS[dialect](recording.response["body"])
    return VIEWS[dialect](_whole(dialect, body_of(recording)))


def of_client(dialect: str, body: bytes, *, streamed: bool) -> View:
    """What the client's real SDK makes of an answer."""
    if dialect == "gemini":
        return gemini.view(_of_google(body, streamed=streamed))
    if dialect == "openai_chat" and streamed and b'"type":"thinking"' in body:
        return openai_chat.view(openai_chat.join(sse_objects(body)))  # Mistral's lists, which no SDK joins
    return VIEWS[dialect](dump(sdk.streamed(dialect, body) if streamed else sdk.plain(dialect, body)))


def _of_google(body: bytes, *, streamed: bool) -> Json:
    """Google's SDK asks for server-sent events only, and knows no enumerations as numbers: these are read here."""
    if streamed and body.lstrip().startswith(b"["):
        return gemini.join(json_objects(body))
    if streamed:
        return gemini.join(dump(chunk) for chunk in sdk.chunks("gemini", body))
    try:
        return dump(sdk.plain("gemini", body))
    except AttributeError:
        return json.loads(body)


def _whole(dialect: str, body: bytes) -> Json:
    """A provider's stream put together: by the SDK, where every host of the dialect speaks as the SDK expects."""
    if dialect == "openai_chat":
        return openai_chat.join(sse_objects(body))
    if dialect == "gemini":
        return gemini.join(json_objects(body))
    return dump(sdk.streamed(dialect, body))


def json_objects(body: bytes) -> list[Any]:
    """The same of Gemini's, which may also be one JSON array."""
    objects: list[Any] = json.loads(body) if body.lstrip().startswith(b"[") else sse_objects(body)
    return objects


def sse_objects(body: bytes) -> list[Any]:
    """The JSON objects of a server-sent event stream."""
    lines = body.replace(b"\r\n", b"\n").split(b"\n")
    said = (line.removeprefix(b"data:").strip() for line in lines if line.startswith(b"data:"))
    return [json.loads(data) for data in said if data and data != b"[DONE]"]


EXPRESSED: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "openai_chat": {
        "stop_sequence": frozenset({"stop"}),
        "context_length": frozenset({"length"}),
        "refusal": frozenset({"stop", "content_filter"}),
        "pause": frozenset({"stop"}),
        "malformed_tool_call": frozenset({"stop", "content_filter"}),
        "other": frozenset({"stop", "content_filter"}),
    },
    "openai_responses": {
        "stop_sequence": frozenset({"stop"}),
        "context_length": frozenset({"length"}),
        "refusal": frozenset({"stop", "refusal", "content_filter"}),
        "pause": frozenset({"stop"}),
        # It has no reasons: an answer with calls has ended for them, whatever the provider said.
        "malformed_tool_call": frozenset({"stop", "content_filter", "tool_calls"}),
        "other": frozenset({"stop", "content_filter", "tool_calls"}),
    },
    "anthropic": {
        "content_filter": frozenset({"refusal"}),
        # Null, which the view tells as "other": no word of this API is true.
        "malformed_tool_call": frozenset({"stop", "refusal", "other"}),
        "other": frozenset({"stop", "refusal", "other"}),
    },
    "gemini": {
        "stop_sequence": frozenset({"stop"}),
        "context_length": frozenset({"length"}),
        "refusal": frozenset({"stop", "content_filter"}),
        "pause": frozenset({"stop", "other"}),
    },
}
"""How a client API may tell a reason that it has no word for; every other reason is told as it is."""
