"""The codec of Google's `generateContent`, plain and streamed.

Sources: the published discovery document of generativelanguage.googleapis.com (v1beta), Vertex AI's reference and
recorded traffic of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Answer, Chat, ProviderError
from llmgw.dialects.codec import Codec, Losses, Recipient, Stamp, StreamReader, StreamWriter
from llmgw.dialects.gemini import answer as answers
from llmgw.dialects.gemini import errors, request_reader, request_writer
from llmgw.dialects.gemini.spelling import NAME
from llmgw.dialects.gemini.stream_reader import Reader
from llmgw.dialects.gemini.stream_writer import Writer


class GeminiCodec:
    """Implements `Codec`."""

    name: str = NAME
    names: Mapping[str, str] = request_writer.NAMES

    def read_request(
        self, body: bytes, *, model: str | None = None, stream: bool | None = None, query: bytes = b""
    ) -> Chat:
        return request_reader.read(body, model=model, stream=stream, query=query)

    def write_answer(self, answer: Answer, chat: Chat, stamp: Stamp, losses: Losses) -> bytes:
        return answers.write_answer(answer, chat, stamp, losses)

    def stream_writer(self, chat: Chat, stamp: Stamp, losses: Losses) -> StreamWriter:
        return Writer(chat, stamp, losses)

    def write_request(self, chat: Chat, to: Recipient, losses: Losses) -> bytes:
        return request_writer.body(chat, to, losses)

    def read_answer(self, body: bytes) -> Answer:
        return answers.read(body)

    def stream_reader(self) -> StreamReader:
        return Reader()

    def read_error(self, status: int, body: bytes) -> ProviderError:
        return errors.answered(status, body)


CODEC: Final[Codec] = GeminiCodec()
