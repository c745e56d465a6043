"""The items of a client's stream while they grow: a message with its parts, a thought, a tool call."""

from __future__ import annotations

import msgspec

from llmgw.canonical import Json
from llmgw.dialects.openai_responses.response import Item

_check = msgspec.json.Decoder(msgspec.Raw).decode


class OpenMessage:
    """The message that is open, and the part of it that is; `block` is the part's, None between parts."""

    __slots__ = ("annotations", "block", "index", "item", "length", "logprobs", "pieces", "place", "refuses")

    def __init__(self, index: int, item: Item) -> None:
        self.index = index
        self.item = item
        self.block: int | None = None
        self.begin(None, refuses=False)

    def begin(self, block: int | None, *, refuses: bool) -> None:
        """Another part."""
        self.block = block
        self.refuses = refuses
        self.pieces: list[str] = []
        self.length = 0
        self.annotations: list[Item] = []
        self.logprobs: list[Json] = []
        self.place: Item = {
            "item_id": self.item["id"],
            "output_index": self.index,
            "content_index": len(self.item["content"]),
        }

    def part(self) -> Item:
        """The part as it is so far."""
        text = "".join(self.pieces)
        if self.refuses:
            return {"type": "refusal", "refusal": text}
        return {
            "type": "output_text",
            "text": text,
            "annotations": list(self.annotations),
            "logprobs": list(self.logprobs),
        }


class OpenThought:
    """The reasoning item that is open."""

    __slots__ = ("block", "identity", "index", "pieces", "place", "redacted", "signature")

    def __init__(self, index: int, block: int, identity: str) -> None:
        self.index = index
        self.block = block
        self.identity = identity
        self.pieces: list[str] = []
        self.signature: str | None = None
        self.redacted: str | None = None
        self.place: Item = {"item_id": identity, "output_index": index, "summary_index": 0}


class OpenCall:
    """A tool call that has begun."""

    __slots__ = ("custom", "index", "is_closed", "item", "kind", "pieces", "place")

    def __init__(self, index: int, item: Item, custom: bool) -> None:
        self.index = index
        self.item = item
        self.custom = custom
        self.kind = "response.custom_tool_call_input" if custom else "response.function_call_arguments"
        self.pieces: list[str] = []
        self.is_closed = False
        self.place: Item = {"item_id": item["id"], "output_index": index}

    def is_whole(self) -> bool:
        """Whether no more arguments can come."""
        if self.custom:
            return False
        try:
            _check("".join(self.pieces))
        except (msgspec.DecodeError, UnicodeError):
            return False
        return True
