"""A call for embeddings whose client and provider speak different APIs; there are no streams."""

from __future__ import annotations

from collections.abc import Sequence

from llmgw.canonical import Embed
from llmgw.dialects.codec import Losses, ProviderCodec
from llmgw.dialects.embedding import EmbeddingCodec
from llmgw.dialects.reported import Report
from llmgw.errors import CallError
from llmgw.flow import translation
from llmgw.flow.answer import Head
from llmgw.ports import Header


class EmbeddingTranslation:
    """Implements `Passage`."""

    hold_limit = translation.ANSWER_LIMIT
    passes_parts = False

    def __init__(
        self,
        client: EmbeddingCodec,
        provider: EmbeddingCodec,
        errors: ProviderCodec,
        embed: Embed,
        losses: Losses,
    ) -> None:
        """`errors` is the provider's codec, which reads its error answers."""
        self._client = client
        self._provider = provider
        self._errors = errors
        self._embed = embed
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

    def plain(self, body: bytes) -> tuple[bytes, Report | None]:
        whole = self._provider.read_answer(body)
        report = None if whole.usage is None else Report(usage=whole.usage)
        return self._client.write_answer(whole, self._embed), report

    def report(self, tail: bytes) -> None:
        return None

    def said_bytes(self, body: bytes) -> int:
        return 0

    def headers(self, head: Head) -> Sequence[Header]:
        return translation.headers(head, translation.JSON, self._losses)
