"""The paths of the data plane: which dialect and endpoint a request asks for, or why it asks for none.

Most paths are known whole. Gemini's have the model in them: `/v1beta/models/{model}:generateContent`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from llmgw.dialects.dialect import Dialect, Endpoint
from llmgw.dialects.gemini import dialect as gemini
from llmgw.dialects.known import ANTHROPIC, DIALECTS, GEMINI, OPENAI
from llmgw.errors import CallError, MethodNotAllowed, UnknownUrl

PREFIX: Final = b"/v1"
_MODELS: Final = (b"/v1/models", b"/v1beta/models")
_MODEL_LIST: Final = Endpoint(name="models", path=b"", suffix=b"")
_UNKNOWN: Final = Endpoint(name="unknown", path=b"", suffix=b"")


class Found(NamedTuple):
    """What a request asks for. `model` is the one in the path, where there is one."""

    dialect: Dialect
    endpoint: Endpoint
    refusal: CallError | None = None
    model: str | None = None


_FOUND: Final[Mapping[bytes, Found]] = {
    endpoint.path: Found(dialect, endpoint)
    for dialect in DIALECTS.values()
    for endpoint in dialect.endpoints
    if not endpoint.names_model
}


def find(method: str, path: bytes, query: bytes, fields: Mapping[bytes, bytes]) -> Found:
    """The dialect and endpoint of a request, and its refusal where it asks for neither."""
    found = _FOUND.get(path)
    if found is None:
        found = _find_rare(method, path, query, fields)
    elif method != "POST":
        return found._replace(refusal=_not_allowed(path, "POST"))
    return found


def _find_rare(method: str, path: bytes, query: bytes, fields: Mapping[bytes, bytes]) -> Found:
    called = gemini.called(path, query)
    if called is not None:
        endpoint, model = called
        refusal = None if method == "POST" else _not_allowed(path, "POST")
        return Found(GEMINI, endpoint, refusal, unquote_to_bytes(model).decode("utf-8", "replace"))
    dialect = _dialect_of(path, fields)
    for prefix in _MODELS:
        if path == prefix or path.startswith(prefix + b"/"):
            model_id = unquote_to_bytes(path[len(prefix) + 1 :]).decode("utf-8", "replace")
            refusal = None if method == "GET" else _not_allowed(path, "GET")
            return Found(dialect, _MODEL_LIST, refusal, model_id or None)
    unknown = UnknownUrl(f"There is no {method} {_shown(path)} here; check the base URL.")
    return Found(dialect, _UNKNOWN, unknown)


def dialect_of(url: bytes) -> Dialect:
    """The dialect to answer in where no more than the URL is known, or perhaps not even that."""
    return _dialect_of(url.partition(b"?")[0], {})


def _dialect_of(path: bytes, fields: Mapping[bytes, bytes]) -> Dialect:
    if path.startswith(b"/v1beta/"):
        return GEMINI
    if path.startswith(b"/v1/messages") or b"anthropic-version" in fields:
        return ANTHROPIC
    return OPENAI


def _not_allowed(path: bytes, allow: str) -> MethodNotAllowed:
    return MethodNotAllowed(f"Use {allow} for {_shown(path)}.", allow=allow)


def _shown(path: bytes) -> str:
    return path[:200].decode("ascii", "replace")
