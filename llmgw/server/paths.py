"""The paths of the data plane: which dialect and endpoint a request asks for, or why it asks for none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.dialects.dialect import Dialect, Endpoint
from llmgw.dialects.known import ANTHROPIC, DIALECTS, OPENAI
from llmgw.errors import CallError, MethodNotAllowed, UnknownUrl

PREFIX: Final = b"/v1"
_MODELS: Final = Endpoint(name="models", path=b"/v1/models", suffix=b"/models")
_UNKNOWN: Final = Endpoint(name="unknown", path=b"", suffix=b"")
_ENDPOINTS: Final[Mapping[bytes, tuple[Dialect, Endpoint]]] = {
    endpoint.path: (dialect, endpoint) for dialect in DIALECTS.values() for endpoint in dialect.endpoints
}


def find(method: str, path: bytes, fields: dict[bytes, bytes]) -> tuple[Dialect, Endpoint, CallError | None]:
    """The dialect and endpoint of a request, and its refusal where it asks for neither."""
    found = _ENDPOINTS.get(path)
    if found is not None:
        dialect, endpoint = found
        if method == "POST":
            return dialect, endpoint, None
        return dialect, endpoint, _not_allowed(path, "POST")
    if path == _MODELS.path or path.startswith(b"/v1/models/"):
        dialect = ANTHROPIC if b"anthropic-version" in fields else OPENAI
        if method == "GET":
            return dialect, _MODELS, None
        return dialect, _MODELS, _not_allowed(path, "GET")
    dialect = ANTHROPIC if path.startswith(b"/v1/messages") else OPENAI
    return dialect, _UNKNOWN, UnknownUrl(f"There is no {method} {_shown(path)} here; check the base URL.")


def dialect_of(url: bytes) -> Dialect:
    """The dialect to answer in where no more than the URL is known, or perhaps not even that."""
    return _ENDPOINTS.get(url.partition(b"?")[0], (OPENAI, _UNKNOWN))[0]


def _not_allowed(path: bytes, allow: str) -> MethodNotAllowed:
    return MethodNotAllowed(f"Use {allow} for {_shown(path)}.", allow=allow)


def _shown(path: bytes) -> str:
    return path[:200].decode("ascii", "replace")
