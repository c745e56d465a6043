"""The codec of OpenAI's Responses API, plain and streamed.

Source: the published OpenAPI document of api.openai.com and recorded traffic of it and of compatible hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Answer, Chat, ProviderError
from llmgw.dialects.codec import Codec, Losses, Recipient, Stamp, StreamReader, StreamWriter
from llmgw.dialects.openai_responses import (
    answer_reader,
    answer_writer,
    failure,
    request_reader,
    request_writer,
)
from llmgw.dialects.openai_responses.spelling import NAME, NAMES
from llmgw.dialects.openai_responses.stream_reader import Reader
from llmgw.dialects.openai_responses.stream_writer import Writer


class ResponsesCodec:
    """Implements `Codec`."""

    name: str = NAME
    names: Mapping[str, str] = NAMES

    def read_request(
        self, body: bytes, *, model: str | None = None, stream: bool | None = None, query: bytes = b""
    ) -> Chat:
        return request_reader.read(body)

    def write_answer(self, answer: Answer, chat: Chat, stamp: Stamp, losses: Losses) -> bytes:
        return answer_writer.write(answer, chat, stamp, losses)

    def stream_writer(self, chat: Chat, stamp: Stamp, losses: Losses) -> StreamWriter:
        return Writer(chat, stamp, losses)

    def write_request(self, chat: Chat, to: Recipient, losses: Losses) -> bytes:
        return request_writer.body(chat, to, losses)

    def read_answer(self, body: bytes) -> Answer:
        return answer_reader.read(body)

    def stream_reader(self) -> StreamReader:
        return Reader()

    def read_error(self, status: int, body: bytes) -> ProviderError:
        return failure.read(status, body)


CODEC: Final[Codec] = ResponsesCodec()
