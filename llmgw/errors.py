"""Every failure llmgw knows, in one tree; each class fixes what an answer needs.

Two families. A `CallError` answers a client of the data plane: the class fixes the HTTP status, the code of
the contract, whose fault it was and whether a retry can help; `server/replies.py` alone turns it into bytes.
An `OperatorError` answers a person at the command line: one sentence and an exit code. A new class appears
only where a caller branches on it. This module imports nothing of llmgw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

Source = Literal["client", "gateway", "upstream"]


class CallError(Exception):
    """A call cannot be served.

    Args:
        message: what is wrong and what to do, in one sentence, safe to show to the client.
        param: the request field at fault, where there is one.
        retry_after_s: seconds after which a retry may succeed, where it is known.
        detail: what only the operator may see (addresses, the provider's words); logged, never sent.
    """

    status: int
    code: str
    source: ClassVar[Source]
    retry: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s
        self.detail = detail
        self.headers: Sequence[tuple[bytes, bytes]] = ()
        """Header fields that the answer has besides, such as how far a limit is used up."""


class InvalidRequest(CallError):
    status, code, source = 400, "invalid_request", "client"


class UnsupportedParameter(CallError):
    """The request asks for something that its target cannot honour; never dropped in silence."""

    status, code, source = 400, "unsupported_parameter", "client"


class InvalidApiKey(CallError):
    status, code, source = 401, "invalid_api_key", "client"


class ModelNotAllowed(CallError):
    status, code, source = 403, "model_not_allowed", "client"


class PolicyDenied(CallError):
    """A policy of the operator's refuses the call; the message is the policy's own."""

    status, code, source = 403, "policy_denied", "client"


class OrgSuspended(CallError):
    status, code, source = 403, "org_suspended", "client"


class ModelNotFound(CallError):
    status, code, source = 404, "model_not_found", "client"


class UnknownUrl(CallError):
    status, code, source = 404, "unknown_url", "client"


class MethodNotAllowed(CallError):
    status, code, source = 405, "method_not_allowed", "client"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class RequestTimeout(CallError):
    """The client did not finish sending its request in time (slow-loris, RFC 9110 section 15.5.9)."""

    status, code, source, retry = 408, "request_timeout", "client", True


class RequestTooLarge(CallError):
    status, code, source = 413, "request_too_large", "client"


class RateLimitExceeded(CallError):
    """A limit of requests, tokens or calls at a time is used up; `retry_after_s` says until when."""

    status, code, source, retry = 429, "rate_limit_exceeded", "client", True


class BudgetExceeded(CallError):
    """What is left of a budget does not cover the most that the call may cost."""

    status, code, source, retry = 429, "budget_exceeded", "client", True


class HeadersTooLarge(CallError):
    """RFC 6585 section 5."""

    status, code, source = 431, "headers_too_large", "client"


class ClientGone(CallError):
    """The client hung up; logged and counted as 499, never sent and never the upstream's fault."""

    status, code, source = 499, "client_closed_request", "client"


class InternalError(CallError):
    """A defect of llmgw itself. The message never carries the exception's own text."""

    status, code, source = 500, "internal_error", "gateway"


class UpstreamFailed(CallError):
    """The provider broke off, refused the connection or answered something that is not HTTP."""

    status, code, source, retry = 502, "upstream_error", "upstream", True


class Escalated(UpstreamFailed):
    """The answer of a cheaper model did not pass its checks; a better one is asked. Never sent."""


class UpstreamRefused(CallError):
    """The provider's own 4xx about the request, told in another dialect: its status, its words, its code."""

    status, code, source = 400, "invalid_request", "client"

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, param=param, retry_after_s=retry_after_s)
        self.status = status
        self.code = code or self.code
        self.detail = f"provider answered {status}: {message}"


class UpstreamCredentials(CallError):
    """The provider refused the gateway's own credential; the client cannot mend that."""

    status, code, source = 502, "upstream_credentials", "upstream"


class GatewayStopping(CallError):
    """The process is shutting down and its drain's time is up."""

    status, code, source, retry = 503, "gateway_stopping", "gateway", True


class Panicked(CallError):
    """The operator has stopped such calls for now; the message has the operator's reason."""

    status, code, source, retry = 503, "panic", "gateway", True


class NoTarget(CallError):
    """Every target of the model is left alone just now; `retry_after_s` says until when."""

    status, code, source, retry = 503, "no_target_available", "upstream", True


class DependencyUnavailable(CallError):
    """A store or key service did not answer in time; says nothing about the caller's key."""

    status, code, source, retry = 503, "dependency_unavailable", "gateway", True


class UpstreamTimeout(CallError):
    status, code, source, retry = 504, "upstream_timeout", "upstream", True


class OperatorError(Exception):
    """A command cannot be carried out; the text says what is wrong and what to do."""

    exit_code: int = 1


class UsageError(OperatorError):
    exit_code = 2


class NotFound(OperatorError):
    """The named object does not exist (or is not the caller's, which must look the same)."""


class AlreadyExists(OperatorError):
    """An object of that name is there already."""


class IntegrityError(OperatorError):
    """Stored bytes do not open: tampered, swapped, truncated, or their key is gone."""


class ConfigInvalid(OperatorError):
    exit_code = 3


class StoreUnavailable(OperatorError):
    """A store or service the command needs cannot be reached."""

    exit_code = 4
