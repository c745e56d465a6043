"""The request log in Postgres may be lost, says so, and costs calls nothing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from llmgw.cluster.request_log import DAY_S, RequestLog
from llmgw.stock.request_log import RETENTION_DAYS
from tests import servers
from tests.cluster.conftest import Stored
from tests.provider import wait_until
from tests.telemetry.records import record


def rows(stored: Stored) -> list[str]:
    """Request ids, in order of time."""
    return [
        row[0]
        for row in stored.server.execute('SELECT request_id FROM requests ORDER BY "time"', stored.database)
    ]


def test_records_are_kept_by_the_end_of_the_process(stored: Stored) -> None:
    """What was offered is there when the log is closed, texts of any kind included."""
    now = time.time()
    with RequestLog(stored.url, limit=100) as log:
        for n in range(50):
            log.offer(record(request_id=f"r{n}", time=now + n / 1000, model_asked="a\0b"))
    assert rows(stored) == [f"r{n}" for n in range(50)]
    assert log.dropped == 0


def test_many_nodes_may_begin_a_day_at_once(stored: Stored) -> None:
    """Each finds or makes the day's table; nothing is dropped."""

    def node(number: int) -> int:
        with RequestLog(stored.url, limit=100) as log:
            log.offer(record(request_id=f"r{number}", time=time.time()))
        return log.dropped

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(node, range(8))) == {0}
    assert sorted(rows(stored)) == [f"r{n}" for n in range(8)]


def test_old_days_are_dropped_with_their_tables(stored: Stored) -> None:
    """By the server's clock: a node whose clock runs ahead deletes nothing of the others'."""
    now = time.time()
    for age_days in (RETENTION_DAYS + 2, RETENTION_DAYS - 1, 0, -30):
        with RequestLog(stored.url, limit=100) as log:
            log.offer(record(request_id=str(age_days), time=now - age_days * DAY_S))
    assert rows(stored) == [str(RETENTION_DAYS - 1), "0", "-30"]


@pytest.mark.parametrize("fault", ["frozen", "killed"])
def test_a_server_that_is_away_costs_the_caller_nothing(stored: Stored, fault: str) -> None:
    """Offering takes microseconds; what cannot be kept is counted, and what comes after its return is kept."""
    server: servers.Postgres = stored.server
    with RequestLog(stored.url, limit=1_000) as log:
        log.offer(record(request_id="first", time=time.time()))
        wait_until(lambda: rows(stored) == ["first"])
        if fault == "frozen":
            server.freeze()
        else:
            server.kill()
        began = time.perf_counter()
        for n in range(3_000):
            log.offer(record(request_id=f"r{n}", time=time.time()))
        assert time.perf_counter() - began < 2
        wait_until(lambda: log.dropped >= 2_000, timeout_s=15)
        assert log.waiting <= 1_000
        server.start()
        wait_until(lambda: log.waiting == 0, timeout_s=15)
        before = log.dropped
        log.offer(record(request_id="last", time=time.time()))
        wait_until(lambda: rows(stored)[-1:] == ["last"] or log.dropped > before, timeout_s=15)
        assert log.dropped == before
