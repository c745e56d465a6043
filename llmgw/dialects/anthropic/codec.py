"""Anthropic's Messages API as a codec.

Source: the published OpenAPI document of api.anthropic.com, the documentation at platform.claude.com and recorded
traffic. `docs/dialects.md` says what becomes of each field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Answer, Chat, ProviderError
from llmgw.dialects.anthropic import answer as whole
from llmgw.dialects.anthropic import failure, request_reader, request_writer
from llmgw.dialects.anthropic.spelling import NAME
from llmgw.dialects.anthropic.stream_reader import Reader
from llmgw.dialects.anthropic.stream_writer import Writer
from llmgw.dialects.codec import Codec, Losses, Recipient, Stamp, StreamReader, StreamWriter

_CONTENT: Final = "messages.content"
_BLOCKS: Final = (
    "image",
    "document",
    "tool_result",
    "search_result",
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "tool_reference",
    "advisor_tool_result",
    "mcp_tool_use",
    "mcp_tool_result",
    "container_upload",
    "compaction",
)


class Messages:
    """The `anthropic` codec; implements `Codec`."""

    name: str = NAME
    names: Mapping[str, str] = {
        "stop": "stop_sequences",
        "format": "output_config.format",
        "format.schema": "output_config.format.schema",
        "reasoning": "thinking",
        "reasoning.effort": "output_config.effort",
        "reasoning.budget_tokens": "thinking.budget_tokens",
        "reasoning.adaptive": "thinking.type",
        "reasoning.show": "thinking.display",
        "tool_choice.names": "tool_choice.name",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
        "user": "metadata.user_id",
        "message.name": "messages.name",
        **{f"part.{kind}": f"{_CONTENT}.{kind}" for kind in _BLOCKS},
        "part.text": f"{_CONTENT}.text",
        "part.thought": f"{_CONTENT}.thinking",
        "part.refusal": f"{_CONTENT}.text",
        "part.audio": f"{_CONTENT}.audio",
        "part.video": f"{_CONTENT}.video",
        "part.citations": f"{_CONTENT}.citations",
        "part.cache": f"{_CONTENT}.cache_control",
        "part.name": f"{_CONTENT}.title",
        "part.detail": f"{_CONTENT}.source",
        "part.context": f"{_CONTENT}.context",
        "part.caller": f"{_CONTENT}.caller",
        "part.is_error": f"{_CONTENT}.is_error",
        "tool.strict": "tools.strict",
        "tool.custom": "tools.type",
        "tool.cache": "tools.cache_control",
    }

    def read_request(
        self, body: bytes, *, model: str | None = None, stream: bool | None = None, query: bytes = b""
    ) -> Chat:
        """The model and whether to stream are in the body here; `query` has only `beta=true`, which says nothing."""
        del model, stream, query
        return request_reader.read(body)

    def write_answer(self, answer: Answer, chat: Chat, stamp: Stamp, losses: Losses) -> bytes:
        return whole.write(answer, chat, stamp, losses)

    def stream_writer(self, chat: Chat, stamp: Stamp, losses: Losses) -> StreamWriter:
        return Writer(chat, stamp, losses)

    def write_request(self, chat: Chat, to: Recipient, losses: Losses) -> bytes:
        return request_writer.body(chat, to, losses)

    def read_answer(self, body: bytes) -> Answer:
        return whole.read(body)

    def stream_reader(self) -> StreamReader:
        return Reader()

    def read_error(self, status: int, body: bytes) -> ProviderError:
        return failure.read(status, body)


CODEC: Final[Codec] = Messages()
