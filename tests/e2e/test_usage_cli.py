"""`llmgw usage` as people and pipelines run it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmgw.canonical import Usage
from llmgw.ports import LedgerRow
from llmgw.standalone.journal import journal
from tests.contracts.books import NOW, made
from tests.gateway import COMMAND, House, installed

CALLS = 2_500


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """An installation whose ledger has CALLS rows of its key."""
    folder = tmp_path_factory.mktemp("usage")
    with installed(folder, providers={"simulator": {"dialect": "simulator"}}, models={}) as made_house:
        (key,) = made_house.run("keys", "list", "--json").json["items"]
        fields = {"org_id": key["org_id"], "org": key["org"], "key_id": key["id"]}
        rows = [
            made(
                NOW + n,
                **fields,
                cost_nano_usd=None if n % 5 == 0 else 2_000,
                usage=Usage(input=1, cache_read=2, output=3),
            )
            for n in range(CALLS)
        ]
        asyncio.run(_put(folder / "llmgw.db", rows))
        yield made_house


def nothing() -> None:
    """Nobody waits for the row."""


async def _put(path: Path, rows: list[LedgerRow]) -> None:
    with journal(path, retention_s=1e12) as kept:
        for row in rows:
            kept.append(row, nothing)


def test_a_report_for_programs(house: House) -> None:
    """One JSON document: items by key and model, the cursor of a list, and the total."""
    report = house.run("usage", "report", "--by", "key", "--by", "model", "--json").json
    (item,) = report["items"]
    assert (item["model"], item["requests"], item["unpriced"], item["cost_usd"]) == (
        "gpt-4o",
        CALLS,
        500,
        "0.004",
    )
    assert item["usage"]["cache_read"] == 2 * CALLS
    assert (report["next"], report["total"]["requests"]) == (None, CALLS)


def test_a_report_for_people(house: House) -> None:
    """A table with a line of totals; by organisation where nothing else is said."""
    lines = house.run("usage", "report").stdout.splitlines()
    assert lines[0].split() == ["ORG", "REQUESTS", "IN", "CACHED", "OUT", "COST", "USD", "UNPRICED"]
    assert lines[-1].split() == ["total", "2500", "2500", "5000", "7500", "0.004", "500"]
    lines = house.run("usage", "report", "--savings").stdout.splitlines()
    assert " ".join(lines[0].split()) == "ORG REQUESTS COST USD ROUTED SAVED SHADOWED WOULD SAVE UNPRICED"
    assert lines[-1].split() == ["total", "2500", "0.004", "0", "-", "0", "-", "500"]
    assert "No call" in house.run("usage", "report", "--since", "1s").stdout


def test_a_report_as_csv(house: House) -> None:
    """A heading and a line for each group, for spreadsheets; it reads the same numbers."""
    (row,) = csv.DictReader(io.StringIO(house.run("usage", "report", "--by", "status", "--csv").stdout))
    assert (row["status"], row["requests"], row["input"], row["cache_write_1h"]) == (
        "200",
        "2500",
        "2500",
        "",
    )
    assert (row["cost_usd"], row["unpriced"]) == ("0.004", "500")


def test_an_export_is_a_line_for_each_call(house: House) -> None:
    """In pieces and as a whole the same lines."""
    whole = house.run("usage", "export").stdout.splitlines()
    assert len(whole) == CALLS
    first = house.run("usage", "export", "--limit", "1200").stdout.splitlines()
    rest = house.run("usage", "export", "--after", json.loads(first[-1])["id"]).stdout.splitlines()
    assert first + rest == whole


def test_a_reader_may_leave_early(house: House) -> None:
    """`llmgw usage export | head -1` prints one line, and no complaint."""
    with subprocess.Popen(
        [*COMMAND, "usage", "export"], cwd=house.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert json.loads(process.stdout.readline())["status"] == 200
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_rebuild_says_that_all_is_well(house: House) -> None:
    """Also beside a running server."""
    assert house.run("usage", "rebuild", "--json").json == {"usage": 0, "tags": 0, "scopes": 0}
    with house.serve():
        assert house.run("usage", "rebuild").stdout == "Every sum was right.\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("report", "--by", "colour"), 2),
        (("report", "--json", "--csv"), 2),
        (("report", "--since", "long ago"), 2),
        (("report", "--org", "nobody"), 1),
        (("export", "--limit", "0"), 2),
        (("export", "--config", "none.yaml"), 3),
    ],
)
def test_failures_have_their_exit_codes(house: House, arguments: tuple[str, ...], code: int) -> None:
    """One sentence on stderr, nothing on stdout."""
    done = house.run("usage", *arguments, expect=code)
    assert done.stdout == ""
    assert "error:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_is_missing_is_unreachable(tmp_path: Path) -> None:
    """Exit code 4, as for every command."""
    with installed(tmp_path, providers={"simulator": {"dialect": "simulator"}}, models={}) as other:
        (tmp_path / "llmgw.db").unlink()
        for command in ("report", "export", "rebuild"):
            assert "error:" in other.run("usage", command, expect=4).stderr
