"""Every recorded error answer keeps what the provider said: status, words, type, code, the field at fault."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.provider.recordings import select
from tests.translation.corpus import body_of, codec, dialect_of, recording

REFUSED: Final = [one.id for one in select() if dialect_of(one) is not None and one.response["status"] != 200]


@pytest.mark.parametrize("recording_id", REFUSED)
def test_an_error_keeps_what_the_provider_said(recording_id: str) -> None:
    """Nothing of an error is lost that a client's API has a place for."""
    recorded = recording(recording_id)
    status, body = recorded.response["status"], recorded.response["body"]
    error = codec(str(dialect_of(recorded))).read_error(status, body_of(recorded))
    said: dict[str, Any] = body.get("error", body)
    assert error.status == status
    assert error.message == said["message"]
    assert error.type == (said.get("type") or said.get("status"))
    assert error.param == said.get("param")
    code = said.get("code")
    if isinstance(code, str):
        assert error.code == code


@pytest.mark.parametrize("recording_id", REFUSED)
def test_a_hidden_retry_time_is_found(recording_id: str) -> None:
    """Google says within the error when to try again: `RetryInfo` with a duration."""
    recorded = recording(recording_id)
    found = [
        detail["retryDelay"]
        for detail in (recorded.response["body"].get("error") or {}).get("details") or ()
        if isinstance(detail, dict) and "retryDelay" in detail
    ]
    error = codec(str(dialect_of(recorded))).read_error(recorded.response["status"], body_of(recorded))
    if found:
        assert error.retry_after_s == float(found[0].removesuffix("s"))
    else:
        assert error.retry_after_s is None


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("openai_chat", {"error": "Incorrect API key provided"}, "Incorrect API key provided"),  # xAI
        ("openai_chat", {"detail": "Unauthorized"}, "Unauthorized"),  # Mistral
        (
            "openai_chat",
            {"object": "error", "message": "No such model", "code": 404},
            "No such model",
        ),  # vLLM
        (
            "anthropic",
            {"error": {"code": 401, "message": "expired", "status": "UNAUTHENTICATED"}},
            "expired",
        ),  # Vertex
    ],
)
def test_other_shapes_of_errors(name: str, body: dict[str, Any], message: str) -> None:
    """Hosts write errors in their own way; the words are found where they are."""
    assert codec(name).read_error(401, json.dumps(body).encode()).message == message
