"""Amazon Bedrock's Converse API as a codec, towards providers: no client speaks it to the gateway.

Source: the service's published model (`bedrock-runtime`), docs.aws.amazon.com and recorded traffic. The model and
whether to stream are in the URL; `docs/dialects.md` says what becomes of each field.
"""

from __future__ import annotations

from typing import Final

from llmgw.canonical import Answer, Chat, ProviderError
from llmgw.dialects.bedrock import answer as whole
from llmgw.dialects.bedrock import failure, request_writer
from llmgw.dialects.bedrock.spelling import NAME
from llmgw.dialects.bedrock.stream_reader import Reader
from llmgw.dialects.codec import Losses, ProviderCodec, Recipient, StreamReader


class Converse:
    """The `bedrock` codec; implements `ProviderCodec`."""

    name: str = NAME

    def write_request(self, chat: Chat, to: Recipient, losses: Losses) -> bytes:
        return request_writer.body(chat, to, losses)

    def read_answer(self, body: bytes) -> Answer:
        return whole.read(body)

    def stream_reader(self) -> StreamReader:
        return Reader()

    def read_error(self, status: int, body: bytes) -> ProviderError:
        return failure.read(status, body)


CODEC: Final[ProviderCodec] = Converse()
