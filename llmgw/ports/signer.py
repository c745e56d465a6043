"""The way to a request that a provider takes for its account's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from llmgw.ports.upstream import Header, UpstreamRequest
from llmgw.secret import Secret


class Signer(Protocol):
    """Proves one provider's requests. What it remembers of one secret never serves another."""

    async def headers(self, secret: Secret, request: UpstreamRequest, now: float) -> tuple[Header, ...]:
        """The header fields that `request` needs besides its own. The caller may be no asyncio task.

        Args:
            now: Unix seconds.

        Raises:
            UpstreamCredentials: the secret is no secret of this provider, or was refused.
            UpstreamFailed, UpstreamTimeout: who could tell was not to be reached.
        """
        ...

    def refused(self, headers: Sequence[Header], now: float) -> None:
        """A request with these header fields was refused for them: what is remembered of how they were made may be
        out of date."""
        ...

    async def aclose(self) -> None:
        """Close idle connections."""
        ...
