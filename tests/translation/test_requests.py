"""Every recorded request of a client API, written for every provider's API.

To its own API it comes back as it was. To another it is either refused with the name of a field that stands in it,
or becomes a body that the target's published description and its SDK's types accept; with `on_unsupported: drop` it
always becomes one, and what is not in it is named.
"""

from __future__ import annotations

import collections
import json
from typing import Any, Final

import pytest
from msgspec import Struct

from llmgw.errors import UnsupportedParameter
from tests.provider.recordings import index
from tests.translation import normalise, targets
from tests.translation.accounts import Ledger, stands_in
from tests.translation.corpus import (
    CLIENTS,
    MODELS,
    PROVIDERS,
    Asked,
    codec,
    losses,
    recipient,
    requests,
)

PAIRS: Final = [
    pytest.param(recording_id, target, id=f"{target}-{recording_id}")
    for target in PROVIDERS
    for recording_id, asked in requests().items()
    if asked.dialect != target
]


CONTRADICTORY: Final = {
    "anthropic-messages-stream-anthropic-completion-tools-call-with-tool-result-stream": (
        "the recorded tool result answers a call of another conversation"
    ),
}
EARLIER: Final = {
    "openai-responses-agent-with-tool-calls": "the call stands in an earlier response, which OpenAI keeps",
}
"""Requests that make no sense without the parameter that is dropped."""
MATCHING: Final = frozenset({"gemini", "openai_chat", "openai_responses"})
"""Targets that cannot take a result without knowing its call."""


class Sent(Struct):
    """A request as it goes to the target."""

    body: bytes
    dropped: list[str]


def translate(asked: Asked, target: str, *, drop: bool) -> Sent | UnsupportedParameter:
    """What goes to the target, or why nothing does."""
    if asked.recording.id in CONTRADICTORY and target in MATCHING:
        pytest.skip(CONTRADICTORY[asked.recording.id])
    if asked.recording.id in EARLIER and drop:
        pytest.skip(EARLIER[asked.recording.id])
    lost = losses(asked.dialect, target, drop=drop)
    try:
        body = codec(target).write_request(asked.read(), recipient(target), lost)
    except UnsupportedParameter as refused:
        return refused
    return Sent(body, lost.dropped)


@pytest.mark.parametrize("recording_id", requests())
def test_to_its_own_api_a_request_is_unchanged(recording_id: str) -> None:
    """Read and written back, the body says the same and nothing is reported as lost."""
    asked = requests()[recording_id]
    lost = losses(asked.dialect, asked.dialect, drop=False)
    model = asked.model or asked.body["model"]
    written = codec(asked.dialect).write_request(asked.read(), recipient(asked.dialect, model=model), lost)
    before = normalise.request(asked.dialect, json.loads(json.dumps(asked.body)))
    after = normalise.request(asked.dialect, json.loads(written))
    assert normalise.differences(before, after) == []
    assert lost.dropped == []


@pytest.mark.parametrize(("recording_id", "target"), PAIRS)
def test_to_another_api_it_is_whole_or_refused_by_name(recording_id: str, target: str) -> None:
    """A request that is not refused is a valid body that has everything; a refusal names a field of the client's."""
    asked = requests()[recording_id]
    sent = translate(asked, target, drop=False)
    if isinstance(sent, UnsupportedParameter):
        assert sent.param is not None
        names = codec(asked.dialect).names
        assert stands_in(sent.param, asked.body, asked.read(), names), f"not in the request: {sent.message}"
        assert sent.param in sent.message
    else:
        check(asked, target, sent)


@pytest.mark.parametrize(("recording_id", "target"), PAIRS)
def test_with_drop_it_goes_out_and_what_is_left_out_is_named(recording_id: str, target: str) -> None:
    """`on_unsupported: drop` gives a valid body, and each thing that is not in it is in the list."""
    asked = requests()[recording_id]
    sent = translate(asked, target, drop=True)
    assert not isinstance(sent, UnsupportedParameter), sent.message
    check(asked, target, sent)


def check(asked: Asked, target: str, sent: Sent) -> None:
    body = json.loads(sent.body)
    assert targets.faults(target, body) == []
    in_url: dict[str, Any] = {"model": MODELS["gemini"], "stream": False} if target == "gemini" else {}
    back = codec(target).read_request(sent.body, **in_url) if target in CLIENTS else None
    assert Ledger(asked.read(), body, back, codec(asked.dialect).names, sent.dropped).open == []


LEAST: Final = {
    ("openai_chat", "openai_chat"): 68,
    ("openai_chat", "openai_responses"): 50,
    ("openai_chat", "anthropic"): 51,
    ("openai_chat", "gemini"): 58,
    ("openai_responses", "openai_chat"): 20,
    ("openai_responses", "openai_responses"): 31,
    ("openai_responses", "anthropic"): 17,
    ("openai_responses", "gemini"): 18,
    ("anthropic", "openai_chat"): 31,
    ("anthropic", "openai_responses"): 28,
    ("anthropic", "anthropic"): 47,
    ("anthropic", "gemini"): 31,
    ("gemini", "openai_chat"): 21,
    ("gemini", "openai_responses"): 18,
    ("gemini", "anthropic"): 20,
    ("gemini", "gemini"): 36,
}
"""How many of the recorded requests of one API go to another without loss, at least. What the others ask for, the
target does not have; a number that falls means that something is refused that was carried."""


@pytest.mark.skipif(not index(), reason="the recordings are not beside this checkout")
@pytest.mark.parametrize("target", PROVIDERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_enough_goes_through_whole(client: str, target: str) -> None:
    """Refusing everything would pass every test above; this is the floor."""
    sent = [
        translate(asked, target, drop=False)
        for asked in requests().values()
        if asked.dialect == client and asked.recording.id not in CONTRADICTORY
    ]
    refused = collections.Counter(str(one.param) for one in sent if isinstance(one, UnsupportedParameter))
    whole = len(sent) - refused.total()
    assert whole >= LEAST[client, target], (
        f"{whole} of {len(sent)}, refused for {dict(refused.most_common())}"
    )
