"""The check of a cascade on one answer, by the provider's own bytes: not every client's API can say all of them."""

from __future__ import annotations

from llmgw.dialects import verdict
from llmgw.dialects.dialect import Endpoint
from llmgw.dialects.verdict import Expected, Listener, Reason


class Check:
    """Of one try."""

    def __init__(self, endpoint: Endpoint, wanted: frozenset[Reason], asked: Expected | None) -> None:
        """`endpoint`: the provider's, in whose format it answers."""
        self._endpoint = endpoint
        self._wanted = wanted
        self._asked = asked
        self._listener: Listener | None = None

    def hear(self, data: bytes) -> None:
        """A piece of a stream."""
        if self._listener is None:
            self._listener = Listener(self._endpoint, self._wanted, self._asked)
        self._listener.feed(data)

    def of_stream(self) -> frozenset[Reason]:
        """What is wrong with the stream that was heard."""
        return frozenset() if self._listener is None else self._listener.end().reasons

    def of_answer(self, body: bytes) -> frozenset[Reason]:
        """What is wrong with a plain answer."""
        return verdict.of_answer(self._endpoint, body, self._wanted, self._asked).reasons
