"""The way to a provider."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from llmgw.errors import CallError

Header = tuple[bytes, bytes]
"""A header field: lower-case name, value; bytes as they stand on the wire."""


class UpstreamRequest(Struct, frozen=True, kw_only=True):
    """One request to a provider, complete: an adapter adds `host`, `content-length` and framing only."""

    method: bytes
    target: bytes
    """Origin-form: path and query, as in the request line."""
    headers: tuple[Header, ...]
    body: bytes


class Receiver(Protocol):
    """Takes an answer as it arrives. Calls come from the event loop, in the order head, data*, end | failed;
    after `end`, `failed` or the transfer's `abort()` none comes any more. Implementations do not block."""

    def head(self, status: int, headers: list[Header]) -> None:
        """The final (not 1xx) head. Names are lower case; framing headers are included as received."""
        ...

    def data(self, data: bytes) -> None:
        """A piece of the body, transfer coding removed, otherwise as it came."""
        ...

    def end(self) -> None:
        """The body ended as its framing says it must."""
        ...

    def failed(self, error: CallError) -> None:
        """The answer will not be completed: UpstreamFailed (cut, garbage, no connection)."""
        ...


class Transfer(Protocol):
    """A request under way."""

    def pause(self) -> None:
        """Stop reading from the provider soon; at most one more read's worth of data arrives."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    def abort(self) -> None:
        """Break the connection off now. Idempotent, also after the end."""
        ...


class Upstream(Protocol):
    """One provider's transport.

    `send` returns when the request is on its way; the answer goes to `receiver`. No redirect is followed.
    A request is repeated by the adapter itself only on a kept-alive connection that broke before any byte
    of an answer. A connection is made only to addresses that `upstream/guard.py` allows. The caller may be
    no asyncio task: what needs one runs in a task of the adapter's own.
    """

    async def send(
        self, request: UpstreamRequest, receiver: Receiver, *, connect_timeout_s: float
    ) -> Transfer:
        """Raises UpstreamTimeout or UpstreamFailed when no connection can be made in time."""
        ...

    async def aclose(self) -> None:
        """Close idle connections now, each other one when its call ends; nothing is sent after this."""
        ...
