"""Any OpenFeature provider as a source of flags: asked in the background, answered from memory.

A thread of its own asks the provider, through the API's client, for one pair of flag and key after the other. Calls
look at what it said last and leave a wish where that is old; they never wait for it, be it slow, hung or dead. Wishes
are not repeated while one is waiting, so what waits is bounded by what is known, and that by LIMIT. While the provider
fails it is asked once a second at most.
"""

from __future__ import annotations

import logging
import threading
from itertools import count
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic
from types import TracebackType
from typing import Final, Self

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.provider import FeatureProvider
from openfeature.provider.no_op_provider import NoOpProvider

from llmgw.config.flags import FlagProvider
from llmgw.errors import OperatorError
from llmgw.rules.access import KeyRecord

_log = logging.getLogger("llmgw.flags")

LIMIT: Final = 10_000
"""Pairs of a flag and a key that are known; behind so many the one known longest gives way."""
REFRESH_S: Final = 30.0
"""How old an answer may be; a provider that tells of changes is asked anew at once."""
RETRY_S: Final = 1.0
STOP_S: Final = 2.0
POLL_S: Final = 0.2
HANG_S: Final = 1.0
"""An evaluation that takes this long counts as no answer, though it is waited for."""
_numbers: Final = count()
"""The API keeps providers by domain, for the whole process; one that hangs lets go of its own only, however late."""

Pair = tuple[str, str]


class _Known:
    """What is known of a flag for a key."""

    __slots__ = ("default", "due", "key", "name", "said")

    def __init__(self, name: str, key: KeyRecord, default: bool) -> None:
        self.name = name
        self.key = key
        self.default = default
        self.said: bool | None = None
        self.due = 0.0
        """When to ask again, by `time.monotonic`; inf while a wish is waiting."""


class Remote:
    """Implements `ports.FlagSource`; a context manager around the run of its thread."""

    def __init__(self, provider: FeatureProvider) -> None:
        self._provider = provider
        self._domain = f"llmgw.source.{next(_numbers)}"
        self._known: dict[Pair, _Known] = {}
        self._wishes: SimpleQueue[_Known] = SimpleQueue()
        self._stopping = threading.Event()
        self._asked_at: float | None = None
        """Since when an evaluation is under way."""
        self._changed = 0
        """How often the provider has told of a change."""
        self._failed = False
        self._missing: set[str] = set()
        # A daemon: a provider that hangs must not keep the process from its end.
        self._thread = threading.Thread(target=self._run, name="llmgw-flags", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(STOP_S)

    def last(self, name: str, key: KeyRecord, default: bool) -> bool:
        known = self._known.get((name, key.id))
        if known is None:
            if len(self._known) >= LIMIT:
                del self._known[next(iter(self._known))]
            known = self._known[name, key.id] = _Known(name, key, default)
        if monotonic() >= known.due:
            known.due = inf
            self._wishes.put(known)
        return default if known.said is None else known.said

    def share(self, name: str) -> float | None:
        said = [known.said for known in self._known.copy().values() if known.name == name]
        heard = [one for one in said if one is not None]
        return sum(heard) / len(heard) if heard else None

    @property
    def failing(self) -> bool:
        asked_at = self._asked_at
        return self._failed or (asked_at is not None and monotonic() - asked_at > HANG_S)

    def _run(self) -> None:
        client = api.get_client(self._domain)
        self._asked_at = monotonic()
        try:
            # It may take its time to be ready, or never be: this thread has nothing else to do.
            api.set_provider_and_wait(self._provider, self._domain)
        except Exception as error:  # noqa: BLE001 - foreign code: it is asked all the same, and may come to itself
            self._fail(getattr(error, "error_message", None) or str(error))
        self._asked_at = None
        handlers = {
            ProviderEvent.PROVIDER_CONFIGURATION_CHANGED: self._forget_times,
            # What changed while it was away it has not told.
            ProviderEvent.PROVIDER_READY: self._forget_times,
            ProviderEvent.PROVIDER_STALE: self._gone,
            ProviderEvent.PROVIDER_ERROR: self._gone,
        }
        for event, handler in handlers.items():
            client.add_handler(event, handler)
        try:
            while not self._stopping.is_set():
                try:
                    known = self._wishes.get(timeout=POLL_S)
                except Empty:
                    continue
                if not self._ask(client, known):
                    self._stopping.wait(RETRY_S)
        finally:
            for event, handler in handlers.items():
                client.remove_handler(event, handler)
            api.set_provider(NoOpProvider(), self._domain)

    def _ask(self, client: OpenFeatureClient, known: _Known) -> bool:
        """Hear what the provider says now; whether it answers at all."""
        changed = self._changed
        self._asked_at = monotonic()
        found = client.get_boolean_details(known.name, known.default, _context(known.key))
        self._asked_at = None
        if found.error_code is not None and found.error_code not in _ITS_WORD:
            known.due = monotonic() + RETRY_S
            self._fail(found.error_message or found.error_code)
            return False
        if found.error_code is None:
            known.said = found.value
        else:
            self._miss(known.name, found.error_code, found.error_message)
        known.due = monotonic() + REFRESH_S if changed == self._changed else 0.0
        self._answered()
        return True

    def _forget_times(self, _: EventDetails) -> None:
        """The provider's flags are others now: whatever is asked for next is asked anew."""
        self._changed += 1
        for known in self._known.copy().values():
            if known.due != inf:
                known.due = 0.0

    def _gone(self, event: EventDetails) -> None:
        self._fail(event.message or "it says so")

    def _answered(self) -> None:
        if self._failed:
            self._failed = False
            _log.info("the flag provider answers again")

    def _fail(self, why: str) -> None:
        if not self._failed:
            self._failed = True
            _log.warning("the flag provider does not answer, what it said last holds: %s", why)

    def _miss(self, name: str, code: ErrorCode, message: str | None) -> None:
        if name not in self._missing:
            self._missing.add(name)
            _log.warning("the flag provider has no answer for %s: %s", name, message or code)


_ITS_WORD: Final = frozenset(
    {ErrorCode.FLAG_NOT_FOUND, ErrorCode.TYPE_MISMATCH, ErrorCode.PARSE_ERROR, ErrorCode.INVALID_CONTEXT}
)
"""Errors that say something of the flag, not of the provider."""


def flagd(settings: FlagProvider) -> Remote:
    """A flagd server; OperatorError where its client library is not installed."""
    try:
        from openfeature.contrib.provider.flagd import FlagdProvider
        from openfeature.contrib.provider.flagd.config import CacheType, ResolverType
    except ImportError as error:
        raise OperatorError(
            f"flag_provider.kind: flagd needs its client library ({error.name} is missing); run: "
            "pip install 'llmgw[flagd]', or write kind: builtin."
        ) from error
    return Remote(
        FlagdProvider(
            host=settings.host,
            port=settings.port,
            tls=settings.tls,
            deadline_ms=round(settings.deadline_s * 1000),
            # Said all the same, so that no FLAGD_* variable changes where flags come from.
            resolver_type=ResolverType.RPC,
            cache=CacheType.DISABLED,
            # Its timers are no daemons, and would keep the process from its end for as long as this.
            retry_grace_period=0,
            retry_backoff_max_ms=2000,
        )
    )


def _context(key: KeyRecord) -> EvaluationContext:
    return EvaluationContext(key.id, {"org": key.org, "org_id": key.org_id, "key": key.name})
