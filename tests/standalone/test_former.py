"""A store and a journal as version 0.1 left them: schema step 3, rows and sums of it, and a call that was never closed.

`former/store.sql` is that version's own dump of its store; `former/journal.log` what stood in its journal.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from llmgw.ports import ReportQuery
from llmgw.spool.segments import segment_path
from llmgw.standalone import migrations
from llmgw.standalone.journal import folder_beside
from llmgw.standalone.reports import SqliteReports
from tests.contracts.books import SqliteBooks

FORMER = Path(__file__).parent / "former"

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """That store, migrated."""
    path = tmp_path / "llmgw.db"
    with sqlite3.connect(path) as database:
        database.executescript((FORMER / "store.sql").read_text())
    database.close()
    assert [step.number for step in migrations.up(path)] == [4, 5]
    return path


def test_nothing_of_a_former_ledger_is_lost(path: Path) -> None:
    """The same rows and sums, those from before are of no route in reports, whatever their rows say."""
    with SqliteReports(path) as reports:
        total = reports.report(ReportQuery()).total
        assert (total.requests, total.unpriced, total.cost_nano_usd, total.saved_nano_usd) == (
            5,
            1,
            4000,
            3000,
        )
        assert (total.routed, total.shadowed, total.shadow_saved_nano_usd) == (0, 0, None)
        assert [row.route for row in reports.rows()] == ["classify", None, None, None, None]
        assert {row.policies for row in reports.rows()} == {()}
        assert set(reports.rebuild().values()) == {0}


async def test_a_former_journal_is_read_to_its_end(path: Path) -> None:
    """What was written before the change of version, and not yet in the store, goes into it; once."""
    books = SqliteBooks(path.parent)
    folder_beside(path).mkdir()
    with sqlite3.connect(path) as database:
        (segment,) = database.execute(
            "UPDATE ledger_state SET journal_offset = 0 RETURNING journal_segment"
        ).fetchone()
    database.close()
    segment_path(folder_beside(path), segment).write_bytes((FORMER / "journal.log").read_bytes())
    for _ in range(2):
        with books.running() as server:
            await server.settled()
    with books.reports() as reports:
        by_model = {
            group.group["model_asked"]: group
            for group in reports.report(ReportQuery(by=("model_asked",))).groups
        }
    assert {model: group.requests for model, group in by_model.items()} == {"smart": 6, "other": 1}
