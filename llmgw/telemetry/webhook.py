"""Sends warnings to a URL, in a thread of its own: one POST of JSON each, tried a few times.

The queue is bounded and small: who is warned of a thousand things is warned of nothing. What does not fit, or cannot
be delivered, is dropped and counted; the warning stands in the log and in the metrics all the same.
"""

from __future__ import annotations

import logging
import threading
from queue import Empty, Full, Queue
from typing import Final

import httpx
import msgspec
from msgspec import Struct

_log = logging.getLogger("llmgw.webhook")

WAITING: Final = 100
TRIES: Final = 3
PAUSE_S: Final = 2.0
"""Between two tries; doubled each time."""
PATIENCE_S: Final = 5.0
STOP_S: Final = 1.0


class Webhook:
    """Posts what it is offered to `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._queue: Queue[Struct] = Queue(WAITING)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.dropped = 0
        """What was not delivered."""

    def offer(self, warning: Struct) -> None:
        """Send it soon; never waits."""
        if self._thread is None:
            # A daemon: a receiver that hangs must not keep the process from its end.
            self._thread = threading.Thread(target=self._run, name="llmgw-webhook", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(warning)
        except Full:
            self.dropped += 1

    def stop(self) -> None:
        """End the thread; what it is at has a moment left."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def _run(self) -> None:
        # No redirects, and no proxy or netrc of the environment: the URL of the configuration and nothing else.
        with httpx.Client(timeout=PATIENCE_S, follow_redirects=False, trust_env=False) as client:
            while not self._stopping.is_set():
                try:
                    warning = self._queue.get(timeout=STOP_S)
                except Empty:
                    continue
                if not self._deliver(client, warning):
                    self.dropped += 1

    def _deliver(self, client: httpx.Client, warning: Struct) -> bool:
        body = msgspec.json.encode({"event": "budget", **msgspec.structs.asdict(warning)})
        problem = ""
        for n in range(TRIES):
            try:
                answer = client.post(self._url, content=body, headers={"content-type": "application/json"})
                if answer.is_success:
                    return True
                problem = f"it answered {answer.status_code}"
            except httpx.HTTPError as error:
                problem = str(error) or type(error).__name__
            if self._stopping.wait(PAUSE_S * 2**n):
                break
        _log.warning("a warning was not delivered to limits.webhook: %s", problem)
        return False
