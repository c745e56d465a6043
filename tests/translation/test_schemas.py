"""The validators themselves: what real providers send passes, and what is wrong does not."""

from __future__ import annotations

import copy
from typing import Any, Final

import pytest

from tests.translation import schemas
from tests.translation.corpus import answers, body_of, dialect_of, recording, requests
from tests.translation.plainest import SAID
from tests.translation.views import sse_objects

MAKERS: Final = ("openai", "anthropic", "gemini", "vertex")
"""The providers whose own description is the schema; compatible hosts may differ from it."""

UNDESCRIBED: Final = {
    "vertex-generate-generate-content-extra-params": "enumerations as numbers",
}


def made(recording_id: str) -> bool:
    """Whether the recording is of the API's maker."""
    recorded = recording(recording_id)
    return recorded.provider in MAKERS and "/openai/" not in recorded.endpoint


@pytest.mark.parametrize("recording_id", [one for one in answers(streamed=False) if made(one)])
def test_recorded_answers_pass(recording_id: str) -> None:
    """A real answer of the API's maker has no fault and no stranger, so the allowances are enough."""
    recorded = recording(recording_id)
    dialect = dialect_of(recorded)
    assert dialect is not None
    if recording_id in UNDESCRIBED:
        pytest.skip(UNDESCRIBED[recording_id])
    assert schemas.complaints(schemas.ANSWERS[dialect], recorded.response["body"], dialect) == []


REQUESTS_BEYOND: Final = {
    "anthropic-messages-anthropic-advisor-tool": "a tool newer than the document",
}


@pytest.mark.parametrize(
    "recording_id", [one for one, asked in requests().items() if made(one) and asked.dialect != "gemini"]
)
def test_recorded_requests_pass(recording_id: str) -> None:
    """A request that the API's maker accepted has no fault; Gemini's are often written in the other spelling that
    protocol buffers allow, so they are left to its SDK's types."""
    asked = requests()[recording_id]
    if recording_id in REQUESTS_BEYOND:
        pytest.skip(REQUESTS_BEYOND[recording_id])
    assert schemas.complaints(schemas.REQUESTS[asked.dialect], asked.body, asked.dialect) == []


WRONG: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("openai_chat", {"choices": [{"finish_reason": "end_turn"}]}, "finish_reason"),
    ("openai_chat", {"usage": {"prompt_tokens": "12"}}, "prompt_tokens"),
    ("openai_chat", {"stop_reason": "x"}, "stop_reason"),
    ("openai_responses", {"status": "done"}, "status"),
    ("openai_responses", {"output": [{"type": "message", "role": "assistant"}]}, "output[0]"),
    ("anthropic", {"stop_reason": "stop"}, "stop_reason"),
    ("anthropic", {"content": [{"type": "text"}]}, "content[0]"),
    ("gemini", {"candidates": [{"finishReason": "stop"}]}, "finishReason"),
    ("gemini", {"usage": {}}, "usage"),
]


@pytest.mark.parametrize(("dialect", "patch", "named"), WRONG)
def test_wrong_answers_do_not_pass(dialect: str, patch: dict[str, Any], named: str) -> None:
    """A wrong type, a wrong word, a missing and an unknown member are all told, by their path."""
    body = copy.deepcopy(SAID[dialect])
    assert schemas.complaints(schemas.ANSWERS[dialect], body, dialect) == []
    _lay(patch, body)
    assert any(named in said for said in schemas.complaints(schemas.ANSWERS[dialect], body, dialect))


def _lay(patch: Any, body: Any) -> None:
    for name, value in patch.items():
        if isinstance(value, dict) and value and name in body:
            _lay(value, body[name])
        elif name == "choices" or name == "candidates":
            _lay(value[0], body[name][0])
        else:
            body[name] = value


@pytest.mark.parametrize("recording_id", [one for one in answers(streamed=True) if made(one)])
def test_recorded_events_pass(recording_id: str) -> None:
    """The same for every event of a stream, errors and pings aside, which no document has."""
    recorded = recording(recording_id)
    dialect = dialect_of(recorded)
    assert dialect is not None
    said = set()
    for event in sse_objects(body_of(recorded)):
        if "error" not in event and event.get("type") not in ("ping", "error", "response.failed"):
            said.update(schemas.complaints(schemas.EVENTS[dialect], event, dialect))
    assert said == set()
