"""What of a provider's answer reaches the client, and what the gateway makes of a failure.

Headers pass by an allow-list: what a client of the provider can use, and nothing that speaks of the
gateway's own account (organisation, cookies) or of one hop (RFC 9110 section 7.6.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from time import time
from typing import Final

from llmgw.dialects.dialect import Dialect, Header
from llmgw.errors import CallError, UpstreamCredentials, UpstreamFailed
from llmgw.rules import retry

_PASSED: Final = frozenset(
    {
        b"content-encoding",
        b"content-language",
        b"cache-control",
        b"retry-after",
        b"retry-after-ms",
        b"request-id",
        b"x-should-retry",
        b"openai-processing-ms",
        b"openai-version",
        b"openai-model",
        b"deprecation",
        b"sunset",
    }
)
_PASSED_PREFIXES: Final = (b"x-ratelimit-", b"anthropic-ratelimit-", b"anthropic-fast-")
_THEIR_REQUEST_ID: Final = (b"x-request-id", b"x-amzn-requestid")
CREDENTIAL_STATUSES: Final = frozenset({401, 402, 403, 407})
"""The provider refuses the gateway's own account: key, payment, permission, proxy. Never the client's fault."""
CREDENTIALS_REFUSED: Final = (
    "The provider refused the gateway's credential for this model; tell the gateway's operator."
)


_passes: dict[bytes, bool] = {}
"""What was decided of names seen before; providers send the same ones with every answer."""
NAMES_LIMIT: Final = 1000


def _learn(name: bytes) -> bool:
    passes = name in _PASSED or name.startswith(_PASSED_PREFIXES)
    if len(_passes) < NAMES_LIMIT:
        _passes[name] = passes
    return passes


class Head:
    """What an answer's head means to the relay."""

    __slots__ = ("is_event_stream", "is_failure", "passed", "request_id", "status")

    def __init__(self, status: int, headers: Iterable[Header]) -> None:
        """Sort the provider's header fields; names are lower case.

        `x-request-id` is the gateway's name for the call, so the provider's, and AWS's `x-amzn-requestid`, becomes
        `x-upstream-request-id`; Anthropic's `request-id` keeps its name, which its SDK reads.
        """
        self.status = status
        self.passed: list[Header] = []
        """The fields for the client."""
        self.request_id: str | None = None
        """The provider's own request id."""
        self.is_event_stream = False
        """Whether the body is server-sent events in the clear."""
        self.is_failure = status != 200 and is_failure(status)
        """Whether the gateway answers in the provider's place."""
        encoded = False
        for header in headers:
            name, value = header
            if name == b"content-type":
                self.passed.append(header)
                self.is_event_stream = status == 200 and value[:17].lower() == b"text/event-stream"
            elif (passes := _passes.get(name)) or (passes is None and _learn(name)):
                self.passed.append(header)
                if name == b"request-id":
                    self.request_id = value.decode("latin-1")
                elif name == b"content-encoding":
                    encoded = value.lower() != b"identity"
            elif name in _THEIR_REQUEST_ID:
                self.request_id = value.decode("latin-1")
                self.passed.append((b"x-upstream-request-id", value))
        if encoded:
            self.is_event_stream = False


def is_failure(status: int) -> bool:
    """Whether the gateway answers in the provider's place; its own 4xx about the request passes as it is."""
    return status >= 500 or status < 200 or 300 <= status < 400 or status in CREDENTIAL_STATUSES


def failure(dialect: Dialect, head: Head, body: bytes) -> CallError | None:
    """The error for an answer that `is_failure`; keeps the provider's `retry-after`. Of another answer, the error where
    its body says that the gateway's credential is refused, and None where the answer is the client's."""
    status = head.status
    said = dialect.error_message(body)
    detail = f"provider answered {status}: {said or body[:200].decode('utf-8', 'replace')}"
    if not head.is_failure and not dialect.refuses_credential(body):
        return None
    if status in CREDENTIAL_STATUSES or not head.is_failure:
        # Its words may quote the secret, so they are for the operator alone.
        return UpstreamCredentials(CREDENTIALS_REFUSED, detail=detail)
    if 300 <= status < 400:
        return unreadable(head)
    return UpstreamFailed(
        f"The provider failed with status {status}" + (f": {said}" if said else "."),
        retry_after_s=retry_after_s(head.passed),
        detail=detail,
    )


def unreadable(head: Head) -> UpstreamFailed:
    """The error for an answer whose body says nothing of use."""
    if 300 <= head.status < 400:
        return UpstreamFailed(
            f"The provider answered with a redirect ({head.status}), which is not followed."
        )
    return UpstreamFailed(f"The provider failed with status {head.status}.")


def retry_after_s(headers: Iterable[Header]) -> float | None:
    """The pause that the provider asks for, from now on."""
    return retry.retry_after_s(headers, time())
