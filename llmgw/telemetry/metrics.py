"""Counters for Prometheus: plain numbers on the hot path, turned into families when they are read.

The number of label sets is bounded: models beyond MODEL_LIMIT pairs of provider and model are counted as `other`, and a
model that nobody serves never becomes a label. docs/metrics.md lists every metric; a test holds it so.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from llmgw import __version__
from llmgw.ports import CallRecord

MODEL_LIMIT: Final = 1000
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_OVERHEAD_S: Final = (
    50e-6,
    100e-6,
    200e-6,
    300e-6,
    500e-6,
    750e-6,
    1e-3,
    2e-3,
    3e-3,
    5e-3,
    10e-3,
    25e-3,
    0.1,
    1.0,
)
_WAIT_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class _Histogram:
    """Observations counted into buckets; cumulated only when read."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        found, so_far = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            so_far += count
            found.append((bound, float(so_far)))
        return found


class Metrics(Collector):
    """Everything that is counted."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.dropped = 0
        self.reloads: Counter[str] = Counter()
        self.last_reload_ok = True
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._pairs: set[tuple[str, str]] = set()
        self._failures: Counter[tuple[str, str]] = Counter()
        self._overhead = _Histogram(_OVERHEAD_S)
        self._duration: dict[str, _Histogram] = {}
        self._first_token: dict[str, _Histogram] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def observe(self, record: CallRecord) -> None:
        """Count an ended call."""
        provider, model = record.provider or "", record.model or ""
        if (provider, model) not in self._pairs:
            if len(self._pairs) < MODEL_LIMIT:
                self._pairs.add((provider, model))
            else:
                model = "other"
        self._requests[provider, model, record.status] += 1
        self._overhead.observe(record.overhead_s)
        if provider:
            duration = self._duration.get(provider)
            if duration is None:
                duration = self._duration[provider] = _Histogram(_WAIT_S)
                self._first_token[provider] = _Histogram(_WAIT_S)
            duration.observe(record.total_s)
            if record.first_token_s is not None:
                self._first_token[provider].observe(record.first_token_s)
            if record.error is not None and record.error.startswith("upstream_"):
                self._failures[provider, record.error] += 1

    def refused(self, status: int) -> None:
        """Count bytes that were no request and were answered with `status`."""
        self._requests["", "", status] += 1

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        # A copy, made in one step of the interpreter: the event loop goes on counting while this is read.
        requests = CounterMetricFamily(
            "llmgw_requests", "Ended calls.", labels=["provider", "model", "status"]
        )
        for (provider, model, status), count in dict(self._requests).items():
            requests.add_metric([provider, model, str(status)], count)
        yield requests
        failures = CounterMetricFamily(
            "llmgw_upstream_errors", "Calls that a provider failed.", labels=["provider", "code"]
        )
        for (provider, code), count in dict(self._failures).items():
            failures.add_metric([provider, code], count)
        yield failures
        yield GaugeMetricFamily("llmgw_requests_in_flight", "Calls under way.", value=self.in_flight)
        yield _family(
            "llmgw_overhead_seconds", "Time of a call not spent waiting for the provider.", self._overhead
        )
        yield _families("llmgw_request_duration_seconds", "Time of a call.", dict(self._duration).items())
        yield _families(
            "llmgw_time_to_first_token_seconds",
            "From the request to the provider until the first content, or a plain answer.",
            dict(self._first_token).items(),
        )
        yield CounterMetricFamily(
            "llmgw_telemetry_dropped", "Log lines lost: the queue was full.", value=self.dropped
        )
        reloads = CounterMetricFamily(
            "llmgw_config_reloads", "Reloads of the configuration.", labels=["outcome"]
        )
        for outcome in ("applied", "refused"):
            reloads.add_metric([outcome], self.reloads[outcome])
        yield reloads
        yield GaugeMetricFamily(
            "llmgw_config_last_reload_successful",
            "1 while the newest configuration file is in force.",
            value=float(self.last_reload_ok),
        )
        build = GaugeMetricFamily("llmgw_build_info", "Always 1.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build


def _family(name: str, help_text: str, histogram: _Histogram) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, help_text, buckets=histogram.buckets(), sum_value=histogram.total)


def _families(
    name: str, help_text: str, histograms: Iterable[tuple[str, _Histogram]]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, help_text, labels=["provider"])
    for provider, histogram in histograms:
        family.add_metric([provider], histogram.buckets(), histogram.total)
    return family
