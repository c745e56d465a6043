"""What several processes count, told as one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from llmgw.telemetry.board import LARGEST, SERIES, SMALLEST, Board, Place
from llmgw.telemetry.metrics import Metrics
from tests.telemetry.records import record


class Gauges(Collector):
    """Gauges of one process."""

    def __init__(self, **values: float) -> None:
        self._values = values

    def collect(self) -> Iterator[Metric]:
        for name, value in self._values.items():
            yield GaugeMetricFamily(name, "", value)


@pytest.fixture
def board() -> Iterator[Board]:
    """A board with nothing on it."""
    with Board() as made:
        yield made


def read(place: Place, name: str) -> dict[tuple[str, ...], float]:
    """The series of that name as this worker tells them, by the values of their labels."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(place.render()[0].decode())
        for sample in family.samples
        if sample.name == name
    }


def test_counters_and_histograms_are_added_up(board: Board) -> None:
    """Series by series, whoever is asked; what only one has counted is there too."""
    first, second = Metrics(), Metrics()
    for _ in range(3):
        first.observe(record(overhead_s=0.0001))
    second.observe(record(overhead_s=0.2))
    second.observe(record(status=500))
    places = board.place(1, first.registry), board.place(2, second.registry)
    for place in places:
        place.post()
    for place in places:
        assert read(place, "llmgw_requests_total") == {
            ("gpt-4o", "openai", "200"): 4,
            ("gpt-4o", "openai", "500"): 1,
        }
        assert read(place, "llmgw_overhead_seconds_count") == {(): 5}
        buckets = read(place, "llmgw_overhead_seconds_bucket")
        assert buckets[("0.0001",)] >= 3
        assert buckets[("+Inf",)] == 5


def test_a_gauge_is_merged_by_its_sense(board: Board) -> None:
    """Calls under way add up; of a state the worst counts."""
    one = board.place(1, Gauges(llmgw_requests_in_flight=2, llmgw_breaker_state=2, llmgw_flag_provider_up=1))
    two = board.place(2, Gauges(llmgw_requests_in_flight=3, llmgw_breaker_state=1, llmgw_flag_provider_up=0))
    two.post()
    assert read(one, "llmgw_requests_in_flight") == {(): 5}
    assert read(one, "llmgw_breaker_state") == {(): 2}
    assert read(one, "llmgw_flag_provider_up") == {(): 0}


def test_every_name_with_a_sense_is_a_metric() -> None:
    """A gauge that was renamed would be added up silently."""
    names = {metric.name for metric in Metrics().registry.collect()}
    assert names >= LARGEST | SMALLEST


def test_what_a_scrape_has_shown_every_later_one_shows(board: Board) -> None:
    """A worker posts before it answers, so another that is asked next knows of it."""
    metrics = Metrics()
    busy, idle = board.place(1, metrics.registry), board.place(2, Metrics().registry)
    for calls in range(1, 20):
        metrics.observe(record())
        assert sum(read(busy, "llmgw_requests_total").values()) == calls
        assert sum(read(idle, "llmgw_requests_total").values()) == calls


def test_counters_outlive_their_worker_and_gauges_do_not(board: Board) -> None:
    """Also where several end one after the other."""
    living = board.place(9, Gauges(llmgw_requests_in_flight=1))
    for number in range(1, 5):
        metrics = Metrics()
        metrics.observe(record())
        metrics.in_flight = 7
        board.place(number, metrics.registry).post()
        board.retire(number)
        assert sum(read(living, "llmgw_requests_total").values()) == number
        assert read(living, "llmgw_requests_in_flight") == {(): 1}


def test_a_worker_that_is_being_taken_over_counts_once(board: Board, tmp_path: Path) -> None:
    """Its file may still be read when its numbers are in the supervisor's already."""
    metrics = Metrics()
    metrics.observe(record())
    place, living = board.place(1, metrics.registry), board.place(2, Metrics().registry)
    place.post()
    board.retire(1)
    place.post()
    assert sum(read(living, "llmgw_requests_total").values()) == 1


def test_a_worker_that_never_posted_may_be_retired(board: Board) -> None:
    """It ended at its start."""
    board.retire(1)
    assert read(board.place(2, Metrics().registry), "llmgw_requests_total") == {}


def test_what_is_kept_of_the_dead_is_bounded(board: Board) -> None:
    """However many names they have counted under."""

    class Many(Collector):
        def __init__(self, prefix: str) -> None:
            self._prefix = prefix

        def collect(self) -> Iterator[Metric]:
            family = CounterMetricFamily("llmgw_requests", "", labels=("model",))
            for number in range(SERIES // 2 + 1):
                family.add_metric((f"{self._prefix}{number}",), 1)
            yield family

    for number in range(1, 4):
        board.place(number, Many(f"{number}-")).post()
        board.retire(number)
    assert len(read(board.place(9, Gauges()), "llmgw_requests_total")) == SERIES


def test_refusals_are_told_to_workers(board: Board) -> None:
    """Until a configuration is taken."""
    place = board.place(1, Metrics().registry)
    assert place.refusal is None
    board.reloaded(False, "line 3: no such key")
    assert place.refusal == "line 3: no such key"
    assert read(place, "llmgw_config_last_reload_successful") == {(): 0}
    board.reloaded(True, None)
    assert place.refusal is None
    assert read(place, "llmgw_config_last_reload_successful") == {(): 1}
    assert read(place, "llmgw_config_reloads_total") == {("applied",): 1, ("refused",): 1}


def test_the_folder_is_private_and_goes_with_the_board() -> None:
    """What it counts names models and providers."""
    with Board() as board:
        place = board.place(1, Metrics().registry)
        place.post()
        assert place.folder.stat().st_mode & 0o777 == 0o700
    assert not place.folder.exists()
    with pytest.raises(OSError, match="No such file"):
        place.render()


def test_folders_of_killed_supervisors_are_removed() -> None:
    """By the next one; those of living ones stay."""
    code = "import os; from llmgw.telemetry.board import Board; b = Board(); b.crashed(); os.kill(os.getpid(), 9)"
    with Board() as living:
        process = subprocess.Popen([sys.executable, "-c", code])
        process.wait(30)
        base = living.place(1, Metrics().registry).folder.parent
        left = list(base.glob(f"llmgw-{os.geteuid()}-{process.pid}-*"))
        with Board():
            pass
        assert len(left) == 1
        assert not left[0].exists()
        assert living.place(1, Metrics().registry).render()


def test_a_folder_that_is_gone_does_not_end_the_supervisor(board: Board) -> None:
    """Its workers matter more than what they have counted."""
    place = board.place(1, Metrics().registry)
    place.post()
    shutil.rmtree(place.folder)
    board.crashed()
    board.reloaded(False, "why")
    board.reloaded(True, None)
    board.retire(1)
    board.refresh(3)
