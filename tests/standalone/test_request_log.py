"""The request log may be lost, says so, and costs calls nothing."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from llmgw.standalone.request_log import RequestLog, path_beside
from llmgw.stock.request_log import RETENTION_DAYS
from tests.provider import wait_until
from tests.telemetry.records import record

DAY_S = 86400


def rows(path: Path) -> list[tuple[str, float]]:
    """Request ids and times of all tables."""
    with sqlite3.connect(path) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [row for table in tables for row in database.execute(f"SELECT request_id, time FROM {table}")]  # noqa: S608


def test_its_file_stands_beside_the_store() -> None:
    """A file of its own, whose locks are not the ledger's."""
    assert path_beside(Path("/x/llmgw.db")) == Path("/x/llmgw.requests.db")


def test_records_are_kept_by_the_end_of_the_process(tmp_path: Path) -> None:
    """What was offered is in the file when the log is closed; the file is for its owner alone."""
    path = tmp_path / "r.db"
    with RequestLog(path, limit=100) as log:
        for n in range(50):
            log.offer(record(request_id=f"r{n}"))
    assert [id for id, _ in rows(path)] == [f"r{n}" for n in range(50)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert log.dropped == 0


def test_a_full_queue_drops_and_counts(tmp_path: Path) -> None:
    """Before the thread runs nothing is taken out, so just the limit fits."""
    log = RequestLog(tmp_path / "r.db", limit=10)
    for n in range(25):
        log.offer(record(request_id=f"r{n}"))
    assert (log.waiting, log.dropped) == (10, 15)
    with log:
        pass
    assert len(rows(tmp_path / "r.db")) == 10


def test_a_locked_file_costs_the_caller_nothing(tmp_path: Path) -> None:
    """While another process holds the file, offering takes microseconds; the rows arrive after it."""
    path = tmp_path / "r.db"
    with RequestLog(path, limit=100_000) as log:
        log.offer(record(request_id="first"))
        wait_until(lambda: path.exists() and log.waiting == 0)
        wait_until(lambda: rows(path))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        began = time.perf_counter()
        for n in range(5_000):
            log.offer(record(request_id=f"r{n}"))
        took_s = time.perf_counter() - began
        other.execute("ROLLBACK")
        other.close()
        wait_until(lambda: len(rows(path)) == 5_001, timeout_s=15)
    assert took_s < 2
    assert log.dropped == 0


def test_a_file_that_refuses_loses_records_and_says_so(tmp_path: Path) -> None:
    """A path that cannot be a database is no reason to stop: everything is counted as dropped."""
    (tmp_path / "r.db").write_bytes(b"no database at all" * 100)
    with RequestLog(tmp_path / "r.db", limit=100) as log:
        log.offer(record())
        wait_until(lambda: log.dropped == 1)


def test_old_days_are_dropped_with_their_tables(tmp_path: Path) -> None:
    """Of two calls, the one that is too old goes when the newer one is kept."""
    path, now = tmp_path / "r.db", 1_760_000_000.0
    for age_days in (RETENTION_DAYS + 1, RETENTION_DAYS - 1, 0):
        with RequestLog(path, limit=100) as log:
            log.offer(record(request_id=str(age_days), time=now - age_days * DAY_S))
    assert {id for id, _ in rows(path)} == {str(RETENTION_DAYS - 1), "0"}
