"""Embeddings between OpenAI's API and Gemini's: reader and writer of each, as `codec.py` has them for answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from llmgw.canonical import Embed, Embeddings
from llmgw.dialects import openai_embeddings
from llmgw.dialects.codec import Losses, Recipient
from llmgw.dialects.dialect import Endpoint
from llmgw.dialects.gemini import embeddings as gemini_embeddings
from llmgw.dialects.gemini.dialect import BATCH_EMBED_CONTENTS, EMBED_CONTENT
from llmgw.dialects.openai import EMBEDDINGS


class EmbeddingCodec(Protocol):
    """One API of embeddings."""

    names: Mapping[str, str]
    """Its own names of `Embed`'s fields where they differ, for errors."""

    def read_request(self, endpoint: Endpoint, body: bytes, model: str) -> Embed:
        """Read a client's request to `endpoint`; InvalidRequest names the field at fault."""
        ...

    def write_request(self, embed: Embed, to: Recipient, losses: Losses) -> tuple[Endpoint, bytes]:
        """The endpoint and the body for a provider; UnsupportedParameter through `losses`."""
        ...

    def read_answer(self, body: bytes) -> Embeddings:
        """Read a provider's answer; UpstreamFailed where it is none."""
        ...

    def write_answer(self, embeddings: Embeddings, embed: Embed) -> bytes:
        """The body of the answer to a client's `embed`."""
        ...


class OpenAIEmbedding:
    """`/v1/embeddings`."""

    names: Mapping[str, str] = openai_embeddings.NAMES

    def read_request(self, endpoint: Endpoint, body: bytes, model: str) -> Embed:
        return openai_embeddings.read_request(body)

    def write_request(self, embed: Embed, to: Recipient, losses: Losses) -> tuple[Endpoint, bytes]:
        return EMBEDDINGS, openai_embeddings.write_request(embed, to, losses)

    def read_answer(self, body: bytes) -> Embeddings:
        return openai_embeddings.read_answer(body)

    def write_answer(self, embeddings: Embeddings, embed: Embed) -> bytes:
        return openai_embeddings.write_answer(embeddings, embed)


class GeminiEmbedding:
    """`embedContent` and `batchEmbedContents`."""

    names: Mapping[str, str] = gemini_embeddings.NAMES

    def read_request(self, endpoint: Endpoint, body: bytes, model: str) -> Embed:
        return gemini_embeddings.read_request(body, model, endpoint is BATCH_EMBED_CONTENTS)

    def write_request(self, embed: Embed, to: Recipient, losses: Losses) -> tuple[Endpoint, bytes]:
        method, body = gemini_embeddings.write_request(embed, to, losses)
        return (EMBED_CONTENT if method == "embedContent" else BATCH_EMBED_CONTENTS), body

    def read_answer(self, body: bytes) -> Embeddings:
        return gemini_embeddings.read_answer(body)

    def write_answer(self, embeddings: Embeddings, embed: Embed) -> bytes:
        return gemini_embeddings.write_answer(embeddings, embed)


_OPENAI = OpenAIEmbedding()
_GEMINI = GeminiEmbedding()
OF_CLIENTS: Mapping[str, EmbeddingCodec] = {
    EMBEDDINGS.name: _OPENAI,
    EMBED_CONTENT.name: _GEMINI,
    BATCH_EMBED_CONTENTS.name: _GEMINI,
}
"""By the endpoint that a client asks."""
OF_PROVIDERS: Mapping[str, EmbeddingCodec] = {"openai": _OPENAI, "gemini": _GEMINI}
"""By the provider's dialect; the others have no embeddings."""
