"""A flag provider elsewhere: asked in the background, and known by what it said last."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from time import monotonic, sleep

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider.in_memory_provider import InMemoryProvider

from llmgw.config.flags import FlagProvider
from llmgw.features import Remote, flagd, remote
from llmgw.rules.access import KeyRecord
from tests.features.flagd import Flagd, dead, hanging
from tests.provider import wait_until

KEY = KeyRecord(id="key_1", public_id="p", org_id="org_1", org="acme", name="app", terms=())
AT_ONCE_S = 0.05
"""For a thousand looks; a millionth of a wait for the provider."""


def at(port: int) -> Remote:
    return flagd(FlagProvider(kind="flagd", host="127.0.0.1", port=port, deadline_s=0.3))


def looks_never_wait(source: Remote, name: str, default: bool, expected: bool) -> None:
    """A thousand looks while the provider is as it is."""
    until = monotonic() + 0.5
    while monotonic() < until:
        began = monotonic()
        for _ in range(1000):
            assert source.last(name, KEY, default) is expected
        assert monotonic() - began < AT_ONCE_S
        sleep(0.05)


@pytest.fixture
def server() -> Flagd:
    return Flagd()


def test_what_it_says_is_known_soon_and_lasts_when_it_dies(server: Flagd) -> None:
    """First the default, then its word; its last word while it is dead; a new one once it is back."""
    server.change(f=True)
    with server.serve(), at(server.port) as source:
        assert source.last("f", KEY, False) is False
        wait_until(lambda: source.last("f", KEY, False), timeout_s=10)
        assert source.share("f") == 1.0 and not source.failing
        name, context = server.asked[-1]
        assert name == "f"
        assert {key: context[key] for key in ("targetingKey", "org", "org_id", "key")} == {
            "targetingKey": "key_1",
            "org": "acme",
            "org_id": "org_1",
            "key": "app",
        }
        server.change(f=False)
        wait_until(lambda: not source.last("f", KEY, True), timeout_s=10)
        server.change(f=True)
        wait_until(lambda: source.last("f", KEY, False), timeout_s=10)


def test_its_last_word_holds_while_it_is_away(server: Flagd) -> None:
    """For what is asked then, too, the default; what has changed meanwhile is heard when it is back."""
    server.change(f=True, g=True)
    with ExitStack() as parts:
        with server.serve():
            source = parts.enter_context(at(server.port))
            wait_until(lambda: source.last("f", KEY, False), timeout_s=10)
        wait_until(lambda: source.failing, timeout_s=10)
        looks_never_wait(source, "f", False, True)
        looks_never_wait(source, "g", False, False)
        server.change(f=False, g=True)
        with server.serve():
            wait_until(lambda: not source.last("f", KEY, True), timeout_s=20)
            wait_until(lambda: source.last("g", KEY, False), timeout_s=20)
            assert not source.failing


@pytest.mark.parametrize("default", [False, True])
def test_one_that_hangs_makes_nobody_wait(default: bool) -> None:
    """It takes connections and says nothing: looks give the default, at once, all the time."""
    with hanging() as port, at(port) as source:
        looks_never_wait(source, "f", default, default)
        wait_until(lambda: source.failing, timeout_s=10)
        looks_never_wait(source, "f", default, default)


def test_one_that_is_dead_makes_nobody_wait() -> None:
    """Nothing listens there."""
    with at(dead()) as source:
        looks_never_wait(source, "f", False, False)
        wait_until(lambda: source.failing, timeout_s=10)
        looks_never_wait(source, "f", True, True)


class Blocking(InMemoryProvider):
    """Another provider, with no deadline of its own: it waits for a server that says nothing."""

    def __init__(self, port: int) -> None:
        super().__init__({})
        self._port = port

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            return FlagResolutionDetails(connection.recv(1) == b"1")


def test_one_without_a_deadline_may_hang_for_ever() -> None:
    """The thread that asks it hangs; looks do not, and the end of the process waits for it a moment only."""
    with hanging() as port:
        provider = Blocking(port)
        with Remote(provider) as source:
            looks_never_wait(source, "f", False, False)
            wait_until(lambda: source.failing, timeout_s=10)
            began = monotonic()
        assert monotonic() - began < remote.STOP_S + 1


def test_a_flag_it_does_not_have_is_no_outage(server: Flagd, caplog: pytest.LogCaptureFixture) -> None:
    """The default holds, and it is said once."""
    with server.serve(), at(server.port) as source:
        source.last("f", KEY, True)
        wait_until(lambda: "has no answer for f" in caplog.text, timeout_s=10)
        assert source.last("f", KEY, True) is True and not source.failing
        server.change(g=True)
        wait_until(lambda: source.last("f", KEY, True) and len(server.asked) > 1, timeout_s=10)
        assert caplog.text.count("has no answer for f") == 1


def test_what_is_known_is_bounded() -> None:
    """Keys beyond the limit push out those known longest; what waits is no more than that."""
    with at(dead()) as source:
        for n in range(remote.LIMIT + 100):
            source.last(
                "f", KeyRecord(id=f"key_{n}", public_id="p", org_id="o", org="o", name="n", terms=()), False
            )
        assert len(source._known) == remote.LIMIT
        assert source._wishes.qsize() <= remote.LIMIT + 100
