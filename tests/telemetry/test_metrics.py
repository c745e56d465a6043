"""What Prometheus reads, parsed by Prometheus' own parser."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from time import monotonic

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from llmgw import __version__
from llmgw.breaking.memory import MemoryBreakers
from llmgw.canonical import Usage
from llmgw.config.breakers import Breakers
from llmgw.config.flags import Flag, Guard
from llmgw.ports import FailedTry
from llmgw.rules.breaker import Permit
from llmgw.rules.panic import Entry
from llmgw.standalone.flags import SqliteFlags
from llmgw.standalone.panic import PanicWatch
from llmgw.telemetry.board import Board
from llmgw.telemetry.metrics import MODELS, OTHER, OVERHEAD_S, Metrics
from tests.telemetry.records import record

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The values of one series by the values of its labels, in the order of the labels' names."""
    found = {}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        for sample in family.samples:
            if sample.name == name:
                found[tuple(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


def test_calls_are_counted_by_provider_model_and_status() -> None:
    """Labels are sorted: model, provider, status; a call without a target has empty ones."""
    metrics = Metrics()
    for status in (200, 200, 502):
        metrics.observe(record(status=status))
    metrics.observe(record(status=401, provider=None, model=None, error="invalid_api_key"))
    metrics.refused(400)
    assert samples(metrics, "llmgw_requests_total") == {
        ("gpt-4o", "openai", "200"): 2,
        ("gpt-4o", "openai", "502"): 1,
        ("", "", "401"): 1,
        ("", "", "400"): 1,
    }


def test_histograms_are_cumulative_with_inclusive_bounds() -> None:
    """An observation counts in the bucket whose bound it equals, and in every larger one."""
    metrics = Metrics()
    for overhead_s in (0.0, 0.0001, 0.00011, 5.0):
        metrics.observe(record(overhead_s=overhead_s))
    buckets = {float(le): count for (le,), count in samples(metrics, "llmgw_overhead_seconds_bucket").items()}
    assert list(buckets) == [*OVERHEAD_S, float("inf")]
    assert buckets[0.00005] == 1
    assert buckets[0.0001] == 2
    assert buckets[0.00015] == 3
    assert buckets[1.0] == 3
    assert buckets[float("inf")] == 4
    assert samples(metrics, "llmgw_overhead_seconds_count") == {(): 4}
    assert abs(samples(metrics, "llmgw_overhead_seconds_sum")[()] - 5.00021) < 1e-9


def test_waits_are_by_provider() -> None:
    """A call without a first token is no observation of one, not one of zero."""
    metrics = Metrics()
    metrics.observe(record(first_token_s=0.3, total_s=2.0))
    metrics.observe(record(first_token_s=None, total_s=1.0, provider="anthropic"))
    assert samples(metrics, "llmgw_time_to_first_token_seconds_count") == {("openai",): 1}
    assert samples(metrics, "llmgw_request_duration_seconds_sum") == {("openai",): 2.0, ("anthropic",): 1.0}


def test_failures_of_a_provider_are_counted_by_code() -> None:
    """Our code where the call failed, the provider's status where its answer passed; a client's fault is none."""
    metrics = Metrics()
    metrics.observe(record(status=504, error="upstream_timeout", upstream_status=None))
    metrics.observe(record(status=200, error="upstream_error"))
    metrics.observe(record(status=429, upstream_status=429))
    metrics.observe(record(status=499, error="client_closed_request"))
    metrics.observe(record(status=400, error="invalid_request", provider=None, upstream_status=None))
    assert samples(metrics, "llmgw_upstream_errors_total") == {
        ("upstream_timeout", "openai"): 1,
        ("upstream_error", "openai"): 1,
        ("429", "openai"): 1,
    }


def test_invented_models_never_become_labels() -> None:
    """A name that only ever got a client's error is `other`, from its first call on."""
    metrics = Metrics()
    for number in range(50):
        metrics.observe(record(model=f"invented-{number}", status=404))
    assert samples(metrics, "llmgw_requests_total") == {(OTHER, "openai", "404"): 50}
    metrics.observe(record(model="real", status=200))
    metrics.observe(record(model="real", status=404))
    assert samples(metrics, "llmgw_requests_total")["real", "openai", "404"] == 1


def test_the_number_of_labels_is_bounded() -> None:
    """Beyond the limit models share one label, and no call goes uncounted."""
    metrics = Metrics()
    for number in range(MODELS + 200):
        metrics.observe(record(model=f"model-{number}"))
        metrics.observe(record(model=f"model-{number}", status=500))
    counts = samples(metrics, "llmgw_requests_total")
    assert len(Counter(model for model, _, _ in counts)) == MODELS + 1
    assert sum(counts.values()) == 2 * (MODELS + 200)
    assert counts[OTHER, "openai", "200"] == 200


def test_reloads() -> None:
    """The last one decides the gauge, each one counts; before the first the configuration is as read."""
    metrics = Metrics()
    assert samples(metrics, "llmgw_config_last_reload_successful") == {(): 1}
    metrics.reloaded(True)
    metrics.reloaded(False)
    assert samples(metrics, "llmgw_config_last_reload_successful") == {(): 0}
    assert samples(metrics, "llmgw_config_reloads_total") == {("applied",): 1, ("refused",): 1}


def test_spend_is_counted_and_the_unpriced_apart() -> None:
    """Tokens by bucket and cost by provider and model; an unknown cost is no cost of zero, and a call without a row
    in the ledger is neither."""
    metrics = Metrics()
    usage = Usage(input=3, output=0, cache_read=7)
    for cost in (1_500_000_000, 500_000_000, None):
        metrics.observe(record(usage=usage, usage_source="reported", cost_nano_usd=cost))
    metrics.observe(record(status=401))
    assert samples(metrics, "llmgw_cost_usd_total") == {("gpt-4o", "openai"): 2.0}
    assert samples(metrics, "llmgw_unpriced_calls_total") == {(): 1}
    assert samples(metrics, "llmgw_tokens_total") == {
        ("input", "gpt-4o", "openai"): 9,
        ("cache_read", "gpt-4o", "openai"): 21,
    }


def test_the_build_is_told() -> None:
    """Which version runs."""
    assert samples(Metrics(), "llmgw_build_info") == {(__version__,): 1}


def test_labels_are_escaped() -> None:
    """A model's name with quotes, backslashes and line feeds reads back as it was."""
    metrics = Metrics()
    metrics.observe(record(model='a"b\\c\nd'))
    assert ('a"b\\c\nd', "openai", "200") in samples(metrics, "llmgw_requests_total")


def test_every_metric_is_documented_and_every_documented_one_exists(tmp_path: Path) -> None:
    """docs/metrics.md is the list of what `/metrics` shows of ours, with its type and labels."""
    metrics = Metrics()
    metrics.observe(
        record(status=502, error="upstream_error", failed_tries=(FailedTry("openai", "gpt-4o", "500"),))
    )
    metrics.observe(record(usage=Usage(input=1), usage_source="reported", cost_nano_usd=1))
    metrics.observe(record(route="r", policies=("p",)))
    metrics.warned("org")
    metrics.dropped("log", 1)
    metrics.breakers = breakers = MemoryBreakers(Breakers(failures=1))
    breakers.report("openai/gpt-4o", Permit(0), "failure", monotonic())
    metrics.panic = PanicWatch(tmp_path / "panic")
    entry = Entry(scope="all", action="block", reason="r", actor="a", since=0.0)
    metrics.panic.entries = (entry,)
    metrics.panic.refused(entry)
    guard = Guard(error_rate=0.5, min_calls=1)
    metrics.flags = SqliteFlags(tmp_path / "llmgw.db", {"f": Flag(default=True, guard=guard)})
    metrics.flags.note(("f",), "failure", 0.1, None, 1.0)
    with Board() as board:
        board.refresh(1)
        text, _ = board.place(1, metrics.registry).render()
    shown = {}
    for family in text_string_to_metric_families(text.decode()):
        if family.name.startswith("llmgw_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            shown[name] = (family.type, frozenset(labels))
    rows = re.findall(r"^\| `(llmgw_\w+)` \| (\w+) \|([^|]*)\|", PAGE.read_text(), re.MULTILINE)
    written = {name: (kind, frozenset(re.findall(r"\w+", labels))) for name, kind, labels in rows}
    assert shown == written


def test_the_process_is_measured_too() -> None:
    """The client library's own collector stands beside ours."""
    assert b"process_resident_memory_bytes" in generate_latest(Metrics().registry)
