"""A call that asks how many tokens a request has, where the provider's API is another than the client's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llmgw.dialects.codec import Losses, ProviderCodec
from llmgw.errors import CallError
from llmgw.flow import translation
from llmgw.flow.answer import Head
from llmgw.ports import Header


class Counting:
    """Implements `Passage`."""

    hold_limit = translation.ANSWER_LIMIT
    passes_parts = False

    def __init__(
        self,
        read: Callable[[bytes], int],
        write: Callable[[int], bytes],
        errors: ProviderCodec,
        losses: Losses,
    ) -> None:
        """`read` takes the provider's answer, `write` makes the client's, `errors` reads error answers."""
        self._read = read
        self._write = write
        self._errors = errors
        self._losses = losses

    @property
    def dropped(self) -> Sequence[str]:
        return self._losses.dropped

    def relay(self, head: Head) -> None:
        return None

    def fails(self, head: Head) -> bool:
        return head.status != 200

    def failure(self, head: Head, body: bytes) -> CallError:
        return translation.failure(self._errors, head, body)

    def plain(self, body: bytes) -> tuple[bytes, None]:
        return self._write(self._read(body)), None

    def report(self, tail: bytes) -> None:
        return None

    def said_bytes(self, body: bytes) -> int:
        return 0

    def headers(self, head: Head) -> Sequence[Header]:
        return translation.headers(head, translation.JSON, self._losses)
