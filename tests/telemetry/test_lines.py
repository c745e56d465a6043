"""What stands in a log line."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgw import errors
from llmgw.telemetry.lines import LIMIT, CallLine, Entry, Message, encode, severity
from tests.telemetry.records import record

KEY = "sk-llmgw-xr4t56lvtdvb-ffK8JoT2WF4mimTXVplGW7hUwfnzxQBT1rRi4m"
SECRET = KEY[22:]


def decoded(entry: Entry) -> Any:
    line = encode(entry)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    return msgspec.json.decode(line)


def test_a_call_is_one_object_with_every_field() -> None:
    """Times are UTC with milliseconds, waits are milliseconds, absent is null."""
    line = decoded(record(first_token_s=None, total_s=0.727006602, overhead_s=0.00081874399))
    assert list(line) == list(CallLine.__struct_fields__)
    assert line["time"] == "2026-11-23T09:22:33.887Z"
    assert (line["event"], line["level"]) == ("call", "info")
    assert (line["latency_ms"], line["overhead_ms"], line["first_token_ms"]) == (727.006, 0.818, None)
    assert (line["detail"], line["error"]) == (None, None)
    assert (line["org"], line["provider"], line["model"]) == ("acme", "openai", "gpt-4o")


def test_a_message_is_one_object() -> None:
    """Line feeds and quotes in a message stay inside its line; what is absent is left out."""
    line = decoded(Message(0.0009, logging.WARNING, "llmgw.store", 'two\n"lines"'))
    assert line == {
        "time": "1970-01-01T00:00:00.001Z",
        "level": "warning",
        "event": "log",
        "logger": "llmgw.store",
        "message": 'two\n"lines"',
    }


@pytest.mark.parametrize(
    ("error", "status", "level"),
    [
        (None, 200, logging.INFO),
        (None, 429, logging.INFO),
        (None, 529, logging.WARNING),
        (errors.InvalidApiKey.code, 401, logging.INFO),
        (errors.ClientGone.code, 499, logging.INFO),
        (errors.UpstreamFailed.code, 502, logging.WARNING),
        (errors.UpstreamFailed.code, 200, logging.WARNING),
        (errors.DependencyUnavailable.code, 503, logging.WARNING),
        (errors.UpstreamCredentials.code, 502, logging.ERROR),
        (errors.InternalError.code, 500, logging.ERROR),
    ],
)
def test_the_level_says_who_has_to_act(error: str | None, status: int, level: int) -> None:
    """The client: info. Nobody, it may pass: warning. The operator: error."""
    assert severity(record(error=error, status=status)) == level


@pytest.mark.parametrize("field", ["request_id", "detail", "model_asked", "model", "upstream_request_id"])
@given(before=st.text(max_size=10), after=st.text(st.sampled_from(" .,\"'\\\n"), max_size=10))
def test_no_secret_in_any_field_of_a_call(field: str, before: str, after: str) -> None:
    """Wherever text from outside can stand, a key in it does not come out."""
    assert SECRET.encode() not in encode(record(**{field: before + KEY + after}))


@pytest.mark.parametrize("field", ["text", "request_id", "traceback"])
@given(before=st.text(max_size=10))
def test_no_secret_in_any_field_of_a_message(field: str, before: str) -> None:
    """The same for messages and tracebacks."""
    message: dict[str, Any] = {
        "time": 0.0,
        "level": logging.ERROR,
        "logger": "any",
        "text": "",
        field: before + KEY,
    }
    assert SECRET.encode() not in encode(Message(**message))


@given(st.text(st.characters(), max_size=50))
def test_any_text_makes_a_line(text: str) -> None:
    """Even text that UTF-8 does not have, such as the name of a file in another encoding."""
    decoded(Message(0.0, logging.INFO, "any", text, None, text))
    decoded(record(detail=text))


def test_a_line_has_a_longest_length() -> None:
    """The queue counts lines, so a single one must not grow without end; a traceback keeps its end."""
    line = decoded(Message(0.0, logging.ERROR, "any", "m" * 10**6, None, "t" * 10**6 + "the cause"))
    assert len(line["message"]) == LIMIT
    assert len(line["traceback"]) == LIMIT
    assert line["traceback"].endswith("the cause")
    assert len(decoded(record(detail="d" * 10**6))["detail"]) == LIMIT
