"""The one place where an error becomes a response: status, headers and a body in the client's dialect."""

from __future__ import annotations

import math
from typing import Final

from llmgw.dialects.dialect import Dialect, Header
from llmgw.errors import CallError, InvalidApiKey, MethodNotAllowed

_JSON: Final[Header] = (b"content-type", b"application/json")


def reply(dialect: Dialect, error: CallError, request_id: str) -> tuple[int, list[Header], bytes]:
    """Status, header fields and body that tell a client of `error`."""
    headers = [_JSON, *error.headers]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % math.ceil(error.retry_after_s)))
    elif error.status == 503:
        headers.append((b"retry-after", b"1"))
    if isinstance(error, InvalidApiKey):
        headers.append((b"www-authenticate", b"Bearer"))  # RFC 9110 section 11.6.1
    elif isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allow.encode()))  # RFC 9110 section 15.5.6
    if dialect.name == "anthropic":
        headers.append((b"request-id", request_id.encode("latin-1")))
    return error.status, headers, dialect.error(error, request_id)
