"""What the journal costs a call, how many rows a second reach SQLite, and how long a report over many of them takes.

`python -m bench.ledger [--rows 10000000]` prints one line for each. Rows of the report are made by SQL, 90 days of them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import sqlite3
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from llmgw import ids
from llmgw.canonical import Usage
from llmgw.control import usage
from llmgw.ports import LedgerRow
from llmgw.spool import lines as codec
from llmgw.spool import segments
from llmgw.standalone import migrations, store
from llmgw.standalone.journal import folder_beside, journal
from llmgw.standalone.registry import SqliteRegistry
from llmgw.standalone.reports import SqliteReports

KEYS: Final = (50, 1_000)
REPORTS: Final = (("org",), ("key",), ("model", "status"), ("tag",), ("day",), ("key", "model", "day"))


def measure(rounds: int = 3, calls: int = 50_000) -> dict[str, float]:
    """Medians over rounds: `journal_us`, CPU of the event loop for one call's two lines; `rows_per_s_*_keys`, from the
    journal's files into the store, as after an outage of the store."""
    results: dict[str, float] = {}
    for keys in KEYS:
        rows = [_row(time.time(), random.randrange(keys)) for _ in range(calls)]
        found = [_writer_rate(rows) for _ in range(rounds)]
        results[f"rows_per_s_{keys}_keys"] = round(median(found))
    results["journal_us"] = round(median(asyncio.run(_journal_cost(calls // 5)) for _ in range(rounds)), 2)
    return results


def _writer_rate(rows: list[LedgerRow]) -> float:
    with tempfile.TemporaryDirectory(prefix="llmgw-bench-") as folder:
        path = Path(folder) / "llmgw.db"
        store.create(path)
        migrations.up(path)
        journal_folder = folder_beside(path)
        journal_folder.mkdir()
        lines = [codec.encode(row) for row in rows]
        written = b"".join(segments.opened(line) + segments.closed(line) for line in lines)
        segments.segment_path(journal_folder, 1).write_bytes(written)
        with journal(path) as kept:
            began = time.perf_counter()
            while kept.waiting:
                time.sleep(0.001)
            return len(rows) / (time.perf_counter() - began)


async def _journal_cost(calls: int) -> float:
    with tempfile.TemporaryDirectory(prefix="llmgw-bench-") as folder:
        path = Path(folder) / "llmgw.db"
        store.create(path)
        migrations.up(path)
        rows = [_row(time.time(), number % 50) for number in range(calls)]
        gc.collect()
        with journal(path) as kept:
            cpu_s = 0.0
            for first in range(0, calls, 20):
                began = time.thread_time()
                for row in rows[first : first + 20]:
                    kept.open(row)
                    kept.append(row, _durable)
                cpu_s += time.thread_time() - began
                await asyncio.sleep(0.01)  # 2,000 calls a second
        return cpu_s / calls * 1e6


def _durable() -> None:
    pass


def _row(now: float, key: int) -> LedgerRow:
    model = random.choice(("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5"))
    return LedgerRow(
        id=ids.new("call", now),
        time=now,
        request_id=f"req_{key:016x}",
        trace_id=f"{key:032x}",
        org_id=f"org_{key % 10:026}",
        org="acme",
        key_id=f"key_{key:026}",
        tags={"team": f"team-{key % 20}", "feature": random.choice(("chat", "search"))},
        endpoint="chat.completions",
        model_asked=model,
        model=model,
        provider="openai",
        attempts=1,
        streamed=True,
        status=random.choice((200, 200, 200, 499, 502)),
        usage=Usage(input=812, cache_read=100, output=231),
        usage_source="reported",
        reserved_nano_usd=40_000_000,
        cost_nano_usd=12_345_678,
        latency_ms=1_234,
        first_token_ms=321,
    )


def measure_reports(rows: int) -> dict[str, float]:
    """Seconds that reports take over so many rows of 200 keys, the first one cold; and that `usage rebuild` does."""
    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="llmgw-bench-") as folder:
        path = Path(folder) / "llmgw.db"
        store.create(path)
        migrations.up(path)
        with sqlite3.connect(path, isolation_level=None) as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute("BEGIN")
            database.execute(
                _FILL.format(columns=", ".join(codec.COLUMNS)), {"rows": rows, "now": int(time.time())}
            )
            database.execute(_FILL_KINDS)
            database.execute("COMMIT")
        database.close()
        with SqliteReports(path) as reports, SqliteRegistry(path) as registry:
            began = time.perf_counter()
            usage.rebuild(reports)
            results["rebuild_s"] = time.perf_counter() - began
            for by in REPORTS:
                for since in (None, "30d"):
                    began = time.perf_counter()
                    usage.report(reports, registry, by=by, since=since)
                    name = f"report_s_by_{'_'.join(by)}" + (f"_since_{since}" if since else "")
                    results[name] = time.perf_counter() - began
    return results


# Ninety days, as many rows in each second; 200 keys of ten organisations, five models, two tags.
_FILL: Final = """
    WITH RECURSIVE calls (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM calls WHERE n + 1 < :rows),
    made AS MATERIALIZED (SELECT n, abs(random()) % 200 AS key, abs(random()) % 5 AS model,
        :now - 7776000 + n * 7776000.0 / :rows AS time FROM calls)
    INSERT INTO ledger (kind, {columns})
    SELECT 1 + key * 10 + model * 2 + (n % 50 = 0), printf('call_%026d', n), time, 'req', 'trace', printf('org_%026d', key % 10), 'acme',
        printf('key_%026d', key), json_object('team', 'team-' || (key % 20), 'feature', 'f' || (n % 3)), 'chat.completions',
        'model-' || model, 'model-' || model || '-2026', 'provider-' || (model % 3), NULL, 1, 1,
        CASE WHEN n % 50 = 0 THEN 502 ELSE 200 END, NULL, 800, 100, NULL, NULL, NULL, 200, NULL, NULL, 'reported', 40000000,
        CASE WHEN model = 4 THEN NULL ELSE 12345678 END, NULL, NULL, 900, 300, NULL, NULL, NULL
    FROM made
"""
_FILL_KINDS: Final = """
    INSERT INTO call_kinds
    SELECT DISTINCT 100000 + (kind - 1) % 100, NULL, org_id, '', model_asked, model, provider, status, usage_source, '', ''
    FROM ledger
    UNION ALL
    SELECT DISTINCT kind, 100000 + (kind - 1) % 100, org_id, key_id, model_asked, model, provider, status, usage_source, '', ''
    FROM ledger
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the reports")
    options = parser.parse_args()
    for results in (measure(), measure_reports(options.rows)):
        for name, value in results.items():
            print(f"{name:45} {value:12.2f}")
