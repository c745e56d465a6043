"""Writes a whole answer for a client: its parts as output items."""

from __future__ import annotations

from llmgw.canonical import (
    Answer,
    Chat,
    Choice,
    Citation,
    Json,
    Media,
    NativePart,
    Part,
    Refusal,
    Text,
    Thought,
    ToolCall,
    ToolResult,
)
from llmgw.dialects.codec import Losses, Stamp
from llmgw.dialects.openai_responses import response, seal
from llmgw.dialects.openai_responses.response import Item
from llmgw.dialects.openai_responses.spelling import NAME, to_client, whole_of


def write(answer: Answer, chat: Chat, stamp: Stamp, losses: Losses) -> bytes:
    """The body of the answer. What this API cannot show goes to `losses.advise`."""
    whole = whole_of(answer.native) if answer.dialect == NAME else None
    if whole is not None:
        return to_client(whole)
    if answer.dialect != NAME:
        for name in answer.native:
            losses.advise(name)
    if len(answer.choices) > 1:
        losses.advise("n")
    choice = answer.choices[0] if answer.choices else Choice()
    for name in choice.native:
        losses.advise(name)
    items = output(choice, answer.dialect, stamp, losses)
    made = response.base(chat, stamp)
    if answer.model is not None:
        made["model"] = answer.model
    if answer.service_tier in response.TIERS:
        made["service_tier"] = answer.service_tier
    return to_client(response.ended(made, items, choice.finish, answer.usage))


def output(choice: Choice, origin: str, stamp: Stamp, losses: Losses) -> list[Item]:
    """The items of a choice; texts that follow each other are parts of one message."""
    items: list[Item] = []
    logprobs = choice.logprobs
    for part in choice.parts:
        if isinstance(part, Text | Refusal):
            if isinstance(part, Text) and part.signature is not None and origin == seal.SIGNER:
                items.append(
                    reasoning(f"rs_{stamp.id}_{len(items)}", "", seal.write(origin, "t", part.signature))
                )
            if not items or items[-1]["type"] != "message":
                items.append(message(f"msg_{stamp.id}_{len(items)}", "completed"))
            items[-1]["content"].append(content(part, logprobs))
            logprobs = None
        elif isinstance(part, ToolCall):
            if part.signature is not None:
                signature = seal.write(seal.SIGNER, "c", part.signature)
                items.append(reasoning(f"rs_{stamp.id}_{len(items)}", "", signature))
            items.append(call(part, len(items), stamp, "completed"))
        elif isinstance(part, Thought):
            encrypted = seal.encrypted(part, origin)
            items.append(reasoning(part.id or f"rs_{stamp.id}_{len(items)}", part.text, encrypted))
        elif isinstance(part, NativePart) and part.dialect == NAME:
            items.append(dict(part.data))
        else:
            losses.advise(f"part.{_kind(part)}")
    return items


def _kind(part: Part) -> str:
    if isinstance(part, Media | NativePart):
        return part.kind
    return "tool_result" if isinstance(part, ToolResult) else "text"


def message(identity: str, status: str) -> Item:
    """A message without content so far."""
    return {"type": "message", "id": identity, "status": status, "role": "assistant", "content": []}


def content(part: Text | Refusal, logprobs: Json = None) -> Item:
    """A part of a message."""
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text}
    found = [one for citation in part.citations if (one := annotation(citation, len(part.text))) is not None]
    return {"type": "output_text", "text": part.text, "annotations": found, "logprobs": logprobs or []}


def annotation(citation: Citation, length: int) -> Item | None:
    """A citation as this API shows it; None where there is no address to show.

    Args:
        length: of the text, which is what is cited where no place is known.
    """
    if citation.native.get("type") == "url_citation" and "start_index" in citation.native:
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


def call(part: ToolCall, index: int, stamp: Stamp, status: str) -> Item:
    """A call; one without an id gets one."""
    identity = part.id or f"call_{stamp.id}_{index}"
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
