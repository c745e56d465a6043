"""Warnings reach the operator's URL, and a receiver that fails costs nobody anything."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from llmgw.config import schema
from llmgw.ports import BudgetWarning
from llmgw.telemetry import Telemetry
from llmgw.telemetry.webhook import WAITING, Webhook
from tests.provider import closed_port, wait_until

WARNING = BudgetWarning(
    scope="org", name="acme", budget="25/month", share=0.8, spent_usd="20.5", time=1_760_000_000.0
)


class Receiver(ThreadingHTTPServer):
    """Keeps what is posted; answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 204
        self.got: list[bytes] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/alarm"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.got.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_warning_is_posted_as_json(receiver: Receiver) -> None:
    """One POST for each warning, with everything that it says, and the metric beside it."""
    telemetry = Telemetry(schema.Telemetry(), webhook=receiver.url)
    telemetry.warn(WARNING)
    wait_until(lambda: receiver.got)
    assert json.loads(receiver.got[0]) == {
        "event": "budget", "scope": "org", "name": "acme", "budget": "25/month", "share": 0.8, "spent_usd": "20.5",
        "time": 1_760_000_000.0,
    }  # fmt: skip
    assert b'llmgw_budget_warnings_total{scope="org"} 1.0' in telemetry.render_metrics()[0]


def test_a_failing_receiver_is_tried_again(receiver: Receiver) -> None:
    """A receiver that answers an error gets the warning once more a little later."""
    receiver.status = 500
    webhook = Webhook(receiver.url)
    webhook.offer(WARNING)
    wait_until(lambda: receiver.got)
    receiver.status = 200
    wait_until(lambda: len(receiver.got) == 2, timeout_s=10)
    webhook.stop()
    assert webhook.dropped == 0


def test_what_cannot_be_delivered_is_dropped_and_counted() -> None:
    """Nobody listens: the queue stays bounded and offering never waits."""
    with closed_port() as port:
        webhook = Webhook(f"http://127.0.0.1:{port}/")
        for _ in range(WAITING * 3):
            webhook.offer(WARNING)
        assert WAITING <= webhook.dropped <= WAITING * 2
        webhook.stop()
