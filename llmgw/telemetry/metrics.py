"""Metrics as plain numbers, counted on the event loop and turned into Prometheus' families when they are read.

`prometheus_client`'s own counters take a lock and several calls for each step; a request here costs a few
dictionary and list operations instead. Reading happens in another thread: it copies each dictionary whole, so a
count that moves meanwhile is in this reading or in the next.

Labels are bounded. A model becomes a label with its first answer that is no client's error, and at most
`MODELS` do; what else clients ask for is counted under `other`, so nobody can fill the memory of a
Prometheus by inventing names. Routes and policies have the names that the configuration gives them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate
from time import monotonic
from typing import Final, Protocol

from msgspec.structs import astuple
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from llmgw import __version__
from llmgw.canonical import Usage
from llmgw.config.budget import NANO
from llmgw.errors import PolicyDenied
from llmgw.ports import CallRecord, Flags, Panic

MODELS: Final = 1000
_BUCKETS: Final = tuple(name for name in Usage.__struct_fields__ if name != "native")
OTHER: Final = "other"

OVERHEAD_S: Final = (
    0.00005, 0.0001, 0.00015, 0.0002, 0.00025, 0.0003, 0.0004, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003,
    0.004, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
)  # fmt: skip
"""Fine where the gateway lives (0.1 to 5 ms), coarse where it must not."""

WAIT_S: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 30.0, 60.0)
DURATION_S: Final = (
    0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0,
)  # fmt: skip


class Histogram:
    """Counts per bucket; `bounds` are inclusive upper bounds, ascending."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """As Prometheus wants them: cumulative, by upper bound."""
        names = [*(repr(bound) for bound in self.bounds), "+Inf"]
        return list(zip(names, accumulate(self.counts), strict=True))


class JournalCounts(Protocol):
    """What a journal counts of itself."""

    @property
    def waiting(self) -> int: ...

    @property
    def failures(self) -> int: ...

    torn: int


class BreakerStates(Protocol):
    """What breakers say of themselves; from any thread."""

    @property
    def opened(self) -> int: ...

    def states(self, now: float) -> Mapping[str, str]: ...


class Metrics(Collector):
    """Everything that is counted in one process. All methods but `collect` belong to the event loop."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._requests: dict[tuple[str | None, str | None, int], int] = {}
        self._models: set[tuple[str | None, str | None]] = {(None, None)}
        self._upstream_errors: dict[tuple[str, str], int] = {}
        self._failed_tries: dict[tuple[str, str], int] = {}
        self._routed: dict[tuple[str, str], int] = {}
        self._violations: dict[tuple[str, str], int] = {}
        self._overhead = Histogram(OVERHEAD_S)
        self._first_token: dict[str | None, Histogram] = {}
        self._duration: dict[str | None, Histogram] = {}
        self._dropped: dict[str, int] = {}
        self._tokens: dict[tuple[str | None, str | None, str], int] = {}
        self._cost_nano_usd: dict[tuple[str | None, str | None], int] = {}
        self._unpriced = 0
        self._warnings: dict[str, int] = {}
        self.journal: JournalCounts | None = None
        self.breakers: BreakerStates | None = None
        self.panic: Panic | None = None
        self.flags: Flags | None = None
        self._reloads = {"applied": 0, "refused": 0}
        self._last_reload_ok = True
        self.registry = CollectorRegistry(auto_describe=False)
        """These, and what the system says of the process."""
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def observe(self, record: CallRecord) -> None:
        """Count a call that has ended."""
        provider = record.provider
        try:
            self._requests[provider, record.model, record.status] += 1
        except KeyError:
            self._count_rare(provider, record.model, record.status)
        self._overhead.observe(record.overhead_s)
        try:
            self._duration[provider].observe(record.total_s)
        except KeyError:
            self._duration.setdefault(provider, Histogram(DURATION_S)).observe(record.total_s)
        first_token_s = record.first_token_s
        if first_token_s is not None:
            try:
                self._first_token[provider].observe(first_token_s)
            except KeyError:
                self._first_token.setdefault(provider, Histogram(WAIT_S)).observe(first_token_s)
        upstream_status = record.upstream_status
        if provider is not None and (
            (upstream_status is not None and upstream_status >= 400)
            or (record.error is not None and record.error.startswith("upstream_"))
        ):
            code = record.error or str(upstream_status)
            self._upstream_errors[provider, code] = self._upstream_errors.get((provider, code), 0) + 1

        for tried in record.failed_tries:
            labels = (tried.provider, tried.cause)
            self._failed_tries[labels] = self._failed_tries.get(labels, 0) + 1
        if record.route is not None:
            self._count_routed(record.route, "enforce")
        if record.shadow_route is not None:
            self._count_routed(record.shadow_route, "shadow")
        for policy in record.policies:
            labels = (policy, "refused" if record.error == PolicyDenied.code else "allowed")
            self._violations[labels] = self._violations.get(labels, 0) + 1
        if record.usage_source is not None:
            self._spend(record)

    def _count_routed(self, route: str, mode: str) -> None:
        self._routed[route, mode] = self._routed.get((route, mode), 0) + 1

    def _spend(self, record: CallRecord) -> None:
        place = (record.provider, record.model)
        if place not in self._models:
            place = (record.provider, OTHER)
        if record.cost_nano_usd is None:
            self._unpriced += 1
        else:
            self._cost_nano_usd[place] = self._cost_nano_usd.get(place, 0) + record.cost_nano_usd
        usage = record.usage
        if usage is not None:
            for bucket, count in zip(_BUCKETS, astuple(usage), strict=False):
                if count:
                    series = (*place, bucket)
                    self._tokens[series] = self._tokens.get(series, 0) + count

    def warned(self, scope: str) -> None:
        """Count a warning that a budget of such a scope runs out."""
        self._warnings[scope] = self._warnings.get(scope, 0) + 1

    def refused(self, status: int) -> None:
        """Count an answer to bytes that were no request."""
        self._count_rare(None, None, status)

    def reloaded(self, ok: bool) -> None:
        """Count a reload of the configuration."""
        self._reloads["applied" if ok else "refused"] += 1
        self._last_reload_ok = ok

    def dropped(self, queue: str, count: int) -> None:
        """Set how many entries `queue` has dropped since the start."""
        self._dropped[queue] = count

    def _count_rare(self, provider: str | None, model: str | None, status: int) -> None:
        """A series' first count, and each count of what has no series of its own."""
        if (provider, model) not in self._models:
            if 400 <= status < 500 or len(self._models) > MODELS:
                model = OTHER
            else:
                self._models.add((provider, model))
        series = (provider, model, status)
        self._requests[series] = self._requests.get(series, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """The families, for the registry; from any thread."""
        yield InfoMetricFamily("llmgw_build", "The version that runs.", {"version": __version__})
        requests = CounterMetricFamily(
            "llmgw_requests", "Requests that have ended.", labels=("provider", "model", "status")
        )
        for (provider, model, status), count in self._requests.copy().items():
            requests.add_metric((provider or "", model or "", str(status)), count)
        yield requests
        yield GaugeMetricFamily("llmgw_requests_in_flight", "Requests being served.", self.in_flight)
        yield HistogramMetricFamily(
            "llmgw_overhead_seconds",
            "Time of a request that was not waiting for the provider.",
            buckets=self._overhead.buckets(),
            sum_value=self._overhead.total,
        )
        yield _by_provider(
            "llmgw_time_to_first_token_seconds",
            "From the request's leaving for the provider to the first content of its answer.",
            self._first_token.copy(),
        )
        yield _by_provider(
            "llmgw_request_duration_seconds",
            "From the complete request to the end of its answer.",
            self._duration.copy(),
        )
        errors = CounterMetricFamily(
            "llmgw_upstream_errors", "Requests that failed at the provider.", labels=("provider", "code")
        )
        for labels, count in self._upstream_errors.copy().items():
            errors.add_metric(labels, count)
        yield errors
        tries = CounterMetricFamily(
            "llmgw_failed_tries",
            "Tries that did not answer their call.",
            labels=("provider", "cause"),
        )
        for labels, count in self._failed_tries.copy().items():
            tries.add_metric(labels, count)
        yield tries
        routed = CounterMetricFamily(
            "llmgw_routed",
            "Calls that a route sent elsewhere, or would have (shadow).",
            labels=("route", "mode"),
        )
        for labels, count in self._routed.copy().items():
            routed.add_metric(labels, count)
        yield routed
        violations = CounterMetricFamily(
            "llmgw_policy_violations", "Violations of policies by calls.", labels=("policy", "outcome")
        )
        for labels, count in self._violations.copy().items():
            violations.add_metric(labels, count)
        yield violations
        tokens = CounterMetricFamily(
            "llmgw_tokens", "Tokens used, in disjoint buckets.", labels=("provider", "model", "bucket")
        )
        for (provider, model, bucket), count in self._tokens.copy().items():
            tokens.add_metric((provider or "", model or "", bucket), count)
        yield tokens
        cost = CounterMetricFamily(
            "llmgw_cost_usd", "What calls have cost, in US dollars.", labels=("provider", "model")
        )
        for (provider, model), nano_usd in self._cost_nano_usd.copy().items():
            cost.add_metric((provider or "", model or ""), nano_usd / NANO)
        yield cost
        yield CounterMetricFamily(
            "llmgw_unpriced_calls", "Calls whose cost is not known.", value=self._unpriced
        )
        warnings = CounterMetricFamily(
            "llmgw_budget_warnings", "Budgets that passed a share to warn at.", labels=("scope",)
        )
        for scope, count in self._warnings.copy().items():
            warnings.add_metric((scope,), count)
        yield warnings
        journal = self.journal
        yield GaugeMetricFamily(
            "llmgw_journal_waiting",
            "Rows that are written down and not in the ledger yet.",
            0 if journal is None else journal.waiting,
        )
        yield CounterMetricFamily(
            "llmgw_journal_failures",
            "Attempts to put rows into the ledger that its store refused.",
            value=0 if journal is None else journal.failures,
        )
        yield GaugeMetricFamily(
            "llmgw_journal_torn",
            "Lines of the journal that were spoilt and are set aside.",
            0 if journal is None else journal.torn,
        )
        braked = GaugeMetricFamily("llmgw_panic", "1 for each scope that is on.", labels=("scope", "action"))
        for entry in () if self.panic is None else self.panic.entries:
            braked.add_metric((entry.text, entry.action), 1)
        yield braked
        stopped = CounterMetricFamily("llmgw_panic_refused", "Calls refused for panic.", labels=("scope",))
        for scope, count in {} if self.panic is None else dict(self.panic.refused_total).items():
            stopped.add_metric((scope,), count)
        yield stopped
        states = GaugeMetricFamily(
            "llmgw_breaker_state", "Breakers that are not closed: 1 half-open, 2 open.", labels=("name",)
        )
        breakers = self.breakers
        for name, state in () if breakers is None else breakers.states(monotonic()).items():
            states.add_metric((name,), 2 if state == "open" else 1)
        yield states
        yield CounterMetricFamily(
            "llmgw_breaker_opened",
            "Times that a breaker has opened.",
            value=0 if breakers is None else breakers.opened,
        )
        yield from self._of_flags()
        dropped = CounterMetricFamily(
            "llmgw_telemetry_dropped", "Log lines lost because their reader was too slow.", labels=("queue",)
        )
        for queue, count in self._dropped.copy().items():
            dropped.add_metric((queue,), count)
        yield dropped
        reloads = CounterMetricFamily(
            "llmgw_config_reloads", "Reloads of the configuration.", labels=("outcome",)
        )
        for outcome, count in self._reloads.copy().items():
            reloads.add_metric((outcome,), count)
        yield reloads
        yield GaugeMetricFamily(
            "llmgw_config_last_reload_successful",
            "1 when the newest configuration file is in force, 0 when it was refused.",
            self._last_reload_ok,
        )

    def _of_flags(self) -> Iterator[Metric]:
        on = GaugeMetricFamily(
            "llmgw_flag_on",
            "The share of keys that a flag is on for, those that are named left out.",
            labels=("flag",),
        )
        trips = CounterMetricFamily(
            "llmgw_flag_guard_trips", "Times that a guard has turned its flag off.", labels=("flag",)
        )
        for name, share in {} if self.flags is None else self.flags.states().items():
            on.add_metric((name,), share)
        for name, count in {} if self.flags is None else dict(self.flags.trips).items():
            trips.add_metric((name,), count)
        yield on
        yield trips
        yield GaugeMetricFamily(
            "llmgw_flag_provider_up",
            "0 while the flag provider does not answer and what it said last holds.",
            1 if self.flags is None or self.flags.degraded is None else 0,
        )


def _by_provider(name: str, documentation: str, histograms: dict[str | None, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, documentation, labels=("provider",))
    for provider, histogram in histograms.items():
        family.add_metric((provider or "",), histogram.buckets(), histogram.total)
    return family
