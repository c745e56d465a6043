"""Writes a whole answer for a client: its parts as output items."""

from __future__ import annotations

from llmgw.canonical import (
    Answer,
    Chat,
    Choice,
    Citation,
    Inline,
    Json,
    Media,
    NativePart,
    Refusal,
    Text,
    Thought,
    ToolCall,
)
from llmgw.dialects.codec import Losses, Stamp
from llmgw.dialects.json_text import to_client
from llmgw.dialects.openai_responses import answer_reader, response, seal
from llmgw.dialects.openai_responses.item_reader import CONTENT
from llmgw.dialects.openai_responses.response import Item
from llmgw.dialects.openai_responses.spelling import NAME, TIERS, Said, whole_of
from llmgw.dialects.origin import SIGNER


def write(answer: Answer, chat: Chat, stamp: Stamp, losses: Losses) -> bytes:
    """The body of the answer. What this API cannot show goes to `losses.advise`."""
    own = answer.dialect == NAME
    if own and isinstance(answer.native, Said) and answer_reader.read(answer.native.body) == answer:
        return to_client(whole_of(answer.native))
    if len(answer.choices) > 1:
        losses.advise("n")
    choice = answer.choices[0] if answer.choices else Choice()
    if not own:
        for name in (*answer.native, *choice.native):
            losses.advise(name)
    items = output(choice, answer.dialect, stamp, losses)
    made = response.base(chat, stamp)
    if own:
        made |= {"id": answer.id or made["id"], "created_at": answer.created or made["created_at"]}
    if answer.model is not None:
        made["model"] = answer.model
    if answer.service_tier in TIERS:
        made["service_tier"] = answer.service_tier
    ended = response.ended(made, items, choice.finish, answer.usage)
    return to_client({**ended, **answer.native} if own else ended)


def output(choice: Choice, origin: str, stamp: Stamp, losses: Losses) -> list[Item]:
    """The items of a choice; texts that follow each other are parts of one message."""
    items: list[Item] = []
    calls: set[str] = set()
    logprobs = choice.logprobs
    for part in choice.parts:
        if isinstance(part, Text | Refusal):
            if isinstance(part, Text) and part.signature is not None and origin == SIGNER:
                items.append(
                    reasoning(f"rs_{stamp.id}_{len(items)}", "", seal.write(origin, "t", part.signature))
                )
            if not items or items[-1]["type"] != "message":
                items.append(message(f"msg_{stamp.id}_{len(items)}", "completed"))
            items[-1]["content"].append(content(part, origin, losses, logprobs))
            logprobs = None
        elif isinstance(part, ToolCall):
            if part.signature is not None:
                signature = seal.write(SIGNER, "c", part.signature)
                items.append(reasoning(f"rs_{stamp.id}_{len(items)}", "", signature))
            items.append(call(part, len(items), stamp, "completed", calls))
        elif isinstance(part, Thought):
            encrypted = seal.encrypted(part, origin)
            items.append(reasoning(part.id or f"rs_{stamp.id}_{len(items)}", part.text, encrypted))
        elif isinstance(part, Media) and part.kind == "image" and isinstance(part.source, Inline):
            items.append(drawn(f"ig_{stamp.id}_{len(items)}", part.source))
        elif isinstance(part, NativePart) and part.dialect == NAME and not part.kind.startswith(CONTENT):
            items.append(dict(part.data))
        else:
            losses.advise(f"part.{part.kind}" if isinstance(part, Media | NativePart) else "part.tool_result")
    if response.why_incomplete(choice.finish) is not None:
        response.break_off(items)
    return items


def message(identity: str, status: str) -> Item:
    """A message without content so far."""
    return {"type": "message", "id": identity, "status": status, "role": "assistant", "content": []}


def content(part: Text | Refusal, origin: str, losses: Losses, logprobs: Json = None) -> Item:
    """A part of a message."""
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    found = [annotation(citation, origin, len(part.text)) for citation in part.citations]
    if None in found:
        losses.advise("part.citations")
    shown = [one for one in found if one is not None]
    return {"type": "output_text", "text": part.text, "annotations": shown, "logprobs": logprobs or []}


def annotation(citation: Citation, origin: str, length: int) -> Item | None:
    """A citation as this API shows it; None where there is no address to show.

    Args:
        origin: the dialect that it comes from.
        length: of the text, which is what is cited where no place is known.
    """
    if origin == NAME and citation.native:
        return dict(citation.native)
    if citation.url is None:
        return None
    return {
        "type": "url_citation",
        "url": citation.url,
        "title": citation.title or "",
        "start_index": citation.start or 0,
        "end_index": length if citation.end is None else citation.end,
    }


def reasoning(identity: str, text: str, encrypted: str | None) -> Item:
    """A thought, as its summary."""
    summary = [{"type": "summary_text", "text": text}] if text else []
    item: Item = {"type": "reasoning", "id": identity, "summary": summary}
    return item if encrypted is None else {**item, "encrypted_content": encrypted}


def drawn(identity: str, image: Inline) -> Item:
    """An image that the model has drawn, as this API's own tool would have."""
    return {"type": "image_generation_call", "id": identity, "status": "completed", "result": image.data}


def call(part: ToolCall, index: int, stamp: Stamp, status: str, taken: set[str]) -> Item:
    """A call; one without an id gets one, and so does one whose id is `taken`."""
    identity = part.id or f"call_{stamp.id}_{index}"
    if identity in taken:
        identity = f"{identity}_{index}"
    taken.add(identity)
    if part.custom:
        return {
            "type": "custom_tool_call",
            "id": f"ctc_{stamp.id}_{index}",
            "call_id": identity,
            "name": part.name,
            "input": part.arguments,
            "status": status,
        }
    return {
        "type": "function_call",
        "id": f"fc_{stamp.id}_{index}",
        "call_id": identity,
        "name": part.name,
        "arguments": part.arguments,
        "status": status,
    }
