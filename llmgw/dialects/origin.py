"""Whose a thought is, and whether a conversation holds thoughts that its own API cannot use.

A thought is proof only to the provider that made it. Each codec gives its clients other providers' proofs in an opaque
member of its own, behind `PREFIX` (`anthropic/origin.py`, `openai_responses/seal.py`, `gemini/signature.py`), and they
come back in the next request. When that request then goes to a provider of the client's own API, it would be refused
there as it is; the codec that reads and writes it again leaves them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llmgw.canonical import Chat, Part, Text, Thought, ToolCall

PREFIX: Final = "llmgw:"
"""Begins what the gateway put into an opaque member, and nothing that a provider makes."""
SIGNER: Final = "gemini"
"""The only dialect that signs calls and texts beside thoughts."""
ENCODED: Final = "bGxtZ3c6"
"""`PREFIX` in base64, which Gemini's signatures are."""
_MARKS: Final[Mapping[str, bytes]] = {
    "anthropic": PREFIX.encode(),
    "openai_responses": PREFIX.encode(),
    "gemini": ENCODED.encode(),
}


def origin_of(thought: Thought, default: str) -> str:
    """The dialect whose provider made `thought`."""
    dialect = thought.native.get("dialect")
    return dialect if isinstance(dialect, str) else default


def seals(dialect: str) -> bool:
    """Whether requests of the dialect have a place for other providers' proofs."""
    return dialect in _MARKS


def may_hold_foreign(raw: bytes, dialect: str) -> bool:
    """Whether a request of `dialect`, as its client wrote it, may hold another provider's proof. One search through
    the bytes; a false alarm is possible, an oversight is not."""
    mark = _MARKS.get(dialect)
    return mark is not None and mark in raw


def holds_foreign(chat: Chat) -> bool:
    """Whether a part of the conversation has another provider's proof."""
    return any(_is_foreign(part, chat.dialect) for message in chat.messages for part in message.parts)


def _is_foreign(part: Part, dialect: str) -> bool:
    if isinstance(part, Thought):
        return origin_of(part, dialect) != dialect
    return isinstance(part, Text | ToolCall) and part.signature is not None and dialect != SIGNER
