"""How an answer gets from a provider's API to a client's: unchanged, or through the neutral model.

The attempt knows transports, times and the client; a passage knows what the bytes mean. `Unchanged` holds no
state, so one of it serves every call of an endpoint; a `Translation` belongs to one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from llmgw.dialects import reported
from llmgw.dialects.dialect import Dialect, Endpoint
from llmgw.dialects.gemini.dialect import STREAM_ARRAY
from llmgw.dialects.reported import Report
from llmgw.errors import CallError
from llmgw.flow import answer
from llmgw.flow.answer import Head
from llmgw.flow.array_relay import ArrayRelay
from llmgw.flow.relay import Relay, StreamRelay
from llmgw.ports import Header

HOLD_LIMIT: Final = 1024 * 1024
"""Bytes of a plain answer held until it is whole; a larger one (embeddings, images) is passed on as it comes."""


class Passage(Protocol):
    """One way through."""

    hold_limit: int
    """Bytes of a plain answer that are held until it is whole."""
    passes_parts: bool
    """Whether a larger one is passed on as it comes; otherwise it fails."""

    @property
    def dropped(self) -> Sequence[str]:
        """What has been left out so far of the request and of the answer; it may grow until the answer ends."""
        ...

    def relay(self, head: Head) -> Relay | None:
        """The relay for an answer that is a stream; None for a plain one."""
        ...

    def fails(self, head: Head) -> bool:
        """Whether the gateway answers with an error in the provider's place, or may do so by what the body says."""
        ...

    def failure(self, head: Head, body: bytes) -> CallError | None:
        """That error; `body` is empty where the answer was too large to be read. None where it is the client's and
        passes as it came."""
        ...

    def plain(self, body: bytes) -> tuple[bytes, Report | None]:
        """The client's body for a plain answer, whole, and what the provider reports of the call's usage.

        Raises:
            UpstreamFailed: it is no answer of the provider's API.
        """
        ...

    def report(self, tail: bytes) -> Report | None:
        """The report of a plain answer that was passed on in parts, from the end of it."""
        ...

    def said_bytes(self, body: bytes) -> int:
        """How long the texts are in a plain answer that reports no usage, or in the beginning of one."""
        ...

    def headers(self, head: Head) -> Sequence[Header]:
        """The fields of the answer's head for the client; asked once, after `plain` where the answer is one."""
        ...


class Unchanged:
    """Within one dialect: every byte passes as it came."""

    __slots__ = ("_dialect", "_endpoint", "_hides_usage")
    hold_limit = HOLD_LIMIT
    passes_parts = True

    def __init__(self, dialect: Dialect, endpoint: Endpoint, *, hides_usage: bool = False) -> None:
        """`hides_usage`: the gateway asked for a report that the client did not ask for."""
        self._dialect = dialect
        self._endpoint = endpoint
        self._hides_usage = hides_usage

    @property
    def dropped(self) -> Sequence[str]:
        return ()

    def relay(self, head: Head) -> Relay | None:
        if head.is_event_stream:
            return StreamRelay(self._dialect, self._endpoint, hides_usage=self._hides_usage)
        if self._endpoint is STREAM_ARRAY and head.status == 200:
            return ArrayRelay(self._dialect, self._endpoint)
        return None

    def fails(self, head: Head) -> bool:
        status = head.status
        return status != 200 and (head.is_failure or self._dialect.may_refuse_credential(status))

    def failure(self, head: Head, body: bytes) -> CallError | None:
        return answer.failure(self._dialect, head, body)

    def plain(self, body: bytes) -> tuple[bytes, Report | None]:
        return body, reported.of_answer(self._endpoint, body)

    def report(self, tail: bytes) -> Report | None:
        return reported.of_tail(self._endpoint, tail)

    def said_bytes(self, body: bytes) -> int:
        return reported.said_bytes(self._endpoint, body)

    def headers(self, head: Head) -> Sequence[Header]:
        return head.passed
