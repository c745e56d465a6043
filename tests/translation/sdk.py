"""The real SDKs as clients of bytes: no network, one client of each kind per process.

`plain` gives what the SDK makes of a whole answer, `streamed` what its own stream helper accumulates, and
`chunks` the SDK's typed events. An answer is validated twice: the SDKs build their objects without checking them
(so that a new API does not break an old client), therefore `checked` holds the JSON against the same types in
strict pydantic.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from typing import Annotated, Any, Final, get_args, get_origin

import anthropic
import httpx2
import openai
import pydantic
from anthropic.types import Message, RawMessageStreamEvent
from google import genai
from google.genai import types as google
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent

BASE: Final = "http://gateway.test"


class _Replay(httpx2.BaseTransport):
    """Answers every request with the bytes it was given."""

    def __init__(self) -> None:
        self.body = b""
        self.media_type = "application/json"

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        return httpx2.Response(
            200, headers={"content-type": self.media_type}, stream=httpx2.ByteStream(self.body)
        )


_replay: Final = _Replay()


@functools.cache
def _http() -> httpx2.Client:
    return httpx2.Client(transport=_replay)


@functools.cache
def _openai() -> openai.OpenAI:
    return openai.OpenAI(api_key="k", base_url=BASE, http_client=_http(), max_retries=0)


@functools.cache
def _anthropic() -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="k", base_url=BASE, http_client=_http(), max_retries=0)


@functools.cache
def _google() -> genai.Client:
    options = google.HttpOptions(base_url=BASE, httpx_client=_http())
    return genai.Client(api_key="k", http_options=options)


def _answering(body: bytes, media_type: str) -> None:
    _replay.body, _replay.media_type = body, media_type


def plain(dialect: str, body: bytes) -> Any:
    """The SDK's object for a whole answer."""
    _answering(body, "application/json")
    if dialect == "openai_chat":
        return _openai().chat.completions.create(model="m", messages=[])
    if dialect == "openai_responses":
        return _openai().responses.create(model="m", input="hi")
    if dialect == "anthropic":
        return _anthropic().messages.create(model="m", max_tokens=1, messages=[])
    return _google().models.generate_content(model="m", contents="hi")


def chunks(dialect: str, body: bytes) -> list[Any]:
    """The SDK's typed events of a stream, as it yields them without a helper."""
    _answering(body, "text/event-stream")
    if dialect == "openai_chat":
        return list(_openai().chat.completions.create(model="m", messages=[], stream=True))
    if dialect == "openai_responses":
        return list(_openai().responses.create(model="m", input="hi", stream=True))
    if dialect == "anthropic":
        return list(_anthropic().messages.create(model="m", max_tokens=1, messages=[], stream=True))
    return list(_google().models.generate_content_stream(model="m", contents="hi"))


def streamed(dialect: str, body: bytes) -> Any:
    """The answer that the SDK's stream helper puts together; Google's has none: see `views.gemini_chunks`."""
    _answering(body, "text/event-stream")
    if dialect == "openai_chat":
        with _openai().chat.completions.stream(model="m", messages=[]) as chat:
            with contextlib.suppress(openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError):
                chat.until_done()  # these two are raised when all has been read
            return chat.current_completion_snapshot
    if dialect == "openai_responses":
        with _openai().responses.stream(model="m", input="hi") as stream:
            last = None
            for event in stream:
                last = event
            assert last is not None, "the stream brought no event"
            # The helper's get_final_response knows complete answers only.
            assert last.type in ("response.completed", "response.incomplete"), last.type
            return last.response
    if dialect == "anthropic":
        with _anthropic().messages.stream(model="m", max_tokens=1, messages=[]) as messages:
            return messages.get_final_message()
    raise LookupError(dialect)


_ANSWERS: Final[dict[str, Any]] = {
    "openai_chat": ChatCompletion,
    "openai_responses": Response,
    "anthropic": Message,
    "gemini": google.GenerateContentResponse,
}
_EVENTS: Final[dict[str, Any]] = {
    "openai_chat": ChatCompletionChunk,
    "openai_responses": ResponseStreamEvent,
    "anthropic": RawMessageStreamEvent,
    "gemini": google.GenerateContentResponse,
}


@functools.cache
def _adapter(kind: Any) -> pydantic.TypeAdapter[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydantic's remarks about the SDKs' own type annotations
        return pydantic.TypeAdapter(kind)


def _faults(kind: Any, value: Any) -> list[str]:
    try:
        _exhaust(_adapter(kind).validate_python(value))
    except pydantic.ValidationError as error:
        return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    except AttributeError as error:  # Google's enumerations, given a number
        return [f"not of an enumeration: {error}"]
    return []


def _exhaust(value: Any) -> None:
    """Members typed as `Iterable` are validated when they are iterated."""
    if isinstance(value, dict):
        for member in value.values():
            _exhaust(member)
    elif type(value).__name__ == "ValidatorIterator" or isinstance(value, list):
        for member in value:
            _exhaust(member)


def answer_faults(dialect: str, value: Any) -> list[str]:
    """What the SDK's type of an answer has against this JSON."""
    return _faults(_ANSWERS[dialect], value)


def event_faults(dialect: str, value: Any) -> list[str]:
    """What the SDK's type of a stream event has against this JSON; of a union, the member of its `type`."""
    kind = _EVENTS[dialect]
    if get_origin(kind) is Annotated:
        kinds = _by_type(dialect)
        if value.get("type") not in kinds:
            return [f"no event is called {value.get('type')!r}"]
        kind = kinds[value["type"]]
    return _faults(kind, value)


@functools.cache
def _by_type(dialect: str) -> dict[str, Any]:
    """The SDK's event classes by what their `type` must be."""
    union = get_args(_EVENTS[dialect])[0]
    return {word: kind for kind in get_args(union) for word in get_args(kind.model_fields["type"].annotation)}


def request_faults(dialect: str, value: dict[str, Any]) -> list[str]:
    """What the SDK's types of a request have against this JSON."""
    if dialect == "gemini":
        return _google_request_faults(value)
    streams = bool(value.get("stream"))
    return _faults(_REQUESTS[dialect][streams], value)


def _params(module: Any, name: str) -> tuple[Any, Any]:
    return getattr(module, f"{name}NonStreaming"), getattr(module, f"{name}Streaming")


def _request_types() -> dict[str, tuple[Any, Any]]:
    from anthropic.types import message_create_params
    from openai.types.chat import completion_create_params
    from openai.types.responses import response_create_params

    return {
        "openai_chat": _params(completion_create_params, "CompletionCreateParams"),
        "openai_responses": _params(response_create_params, "ResponseCreateParams"),
        "anthropic": _params(message_create_params, "MessageCreateParams"),
    }


_REQUESTS: Final = _request_types()
_GOOGLE: Final[dict[str, Any]] = {
    "contents": list[google.Content],
    "systemInstruction": google.Content,
    "tools": list[google.Tool],
    "toolConfig": google.ToolConfig,
    "safetySettings": list[google.SafetySetting],
    "generationConfig": google.GenerationConfig,
    "cachedContent": str,
    "labels": dict[str, str],
    "serviceTier": str,
    "store": bool,
}


def _google_request_faults(value: dict[str, Any]) -> list[str]:
    """Google's SDK has no type of the whole body, only of its members; these know no other names."""
    faults = [f"{name}: no member of a request" for name in value if name not in _GOOGLE]
    for name, member in value.items():
        if name in _GOOGLE:
            faults += [f"{name}.{fault}" for fault in _faults(_GOOGLE[name], member)]
    return faults
