"""Tokens: the buckets add up to the provider's total, and each client is told them as its API counts.

A gateway that bills by a wrong count is worse than one that does not bill, so these tests look at numbers only, for
every recording that has some.
"""

from __future__ import annotations

from typing import Final

import msgspec
import pytest

from llmgw.canonical import Usage, UsageEvent
from tests.translation import views
from tests.translation.corpus import (
    CLIENTS,
    FAILING,
    STAMP,
    answers,
    asked_by,
    body_of,
    codec,
    dialect_of,
    losses,
    read_stream,
    recording,
    write_stream,
)
from tests.translation.views.said import Tokens
from tests.translation.whole import check_usage, tokens_of

COUNTED: Final = [
    one
    for streamed in (False, True)
    for one in answers(streamed=streamed)
    if one not in FAILING and views.of_provider(recording(one)).tokens is not None
]
PAIRS: Final = [
    pytest.param(recording_id, client, id=f"{client}-{recording_id}")
    for client in CLIENTS
    for recording_id in COUNTED
]


def counted(recording_id: str) -> tuple[Usage, Tokens]:
    """What the codec counted, and what the provider said."""
    recorded = recording(recording_id)
    dialect = dialect_of(recorded)
    said = views.of_provider(recorded).tokens
    assert dialect is not None and said is not None
    if recorded.streaming:
        events = read_stream(dialect, [body_of(recorded)])
        usage = [event.usage for event in events if isinstance(event, UsageEvent)][-1]
    else:
        read = codec(dialect).read_answer(body_of(recorded)).usage
        assert read is not None
        usage = read
    return usage, said


@pytest.mark.parametrize("recording_id", COUNTED)
def test_the_buckets_are_the_total(recording_id: str) -> None:
    """The sum of the disjoint buckets is what the provider calls its total."""
    usage, said = counted(recording_id)
    check_usage(usage)
    assert tokens_of(usage) == said.total


@pytest.mark.parametrize("recording_id", COUNTED)
def test_each_bucket_is_what_the_provider_said(recording_id: str) -> None:
    """Cached, written and reasoning tokens stand in buckets of their own, taken out of the sums they were part of."""
    usage, said = counted(recording_id)
    written = (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0)
    assert (usage.cache_read or 0) == (said.cached or 0)
    assert written == (said.written or 0)
    assert (usage.input or 0) + (usage.input_audio or 0) + (said.cached or 0) + written == (said.input or 0)
    if said.reasoning is not None:
        assert (usage.reasoning or 0) == said.reasoning


@pytest.mark.parametrize(("recording_id", "client"), PAIRS)
def test_each_client_is_told_in_its_own_way(recording_id: str, client: str) -> None:
    """Written for a client and read by its SDK, input, output, cached and reasoning tokens are the provider's."""
    recorded = recording(recording_id)
    dialect = dialect_of(recorded)
    assert dialect is not None
    chat = msgspec.structs.replace(asked_by(client), include_usage=True)
    if recorded.streaming:
        body = write_stream(client, chat, read_stream(dialect, [body_of(recorded)]))
    else:
        answer = codec(dialect).read_answer(body_of(recorded))
        body = codec(client).write_answer(answer, chat, STAMP, losses(client, dialect, drop=True))
    told = views.of_client(client, body, streamed=recorded.streaming).tokens
    said = views.of_provider(recorded).tokens
    assert told is not None and said is not None
    assert (told.input or 0) == (said.input or 0)
    if client == dialect:
        assert (told.output or 0) == (said.output or 0)
    else:
        assert (told.output or 0) == (said.total or 0) - (said.input or 0)
    assert (told.cached or 0) == (said.cached or 0)
    if client != "anthropic":
        assert (told.reasoning or 0) == (said.reasoning or 0)
    if told.total is not None:
        assert told.total == said.total
