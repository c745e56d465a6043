"""The assembled object: records and messages in, lines and metrics out."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from llmgw.config import schema
from llmgw.errors import DependencyUnavailable, StoreUnavailable
from llmgw.telemetry import Telemetry
from tests.provider import wait_until
from tests.telemetry.records import record


class Stubborn:
    """An argument that cannot be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def lines_of(
    folder: Path,
    work: Callable[[Telemetry], None],
    level: Literal["debug", "info", "warning", "error"] = "info",
) -> list[dict[str, Any]]:
    """What is written while `work` is done."""
    settings = schema.Telemetry(log_level=level)
    with (folder / "log").open("wb") as file, Telemetry(settings, file.fileno()) as telemetry:
        work(telemetry)
    return [msgspec.json.decode(line) for line in (folder / "log").read_bytes().splitlines()]


def test_calls_and_messages_share_one_log(tmp_path: Path) -> None:
    """Both kinds come out in the order they went in."""

    def work(telemetry: Telemetry) -> None:
        logging.getLogger("llmgw.server").info("listening on %s", "http://127.0.0.1:1")
        telemetry.began()
        telemetry.offer(record())
        logging.getLogger("uvicorn.error").warning("odd", extra={"request_id": "req_1"})

    first, second, third = lines_of(tmp_path, work)
    assert (first["event"], first["message"]) == ("log", "listening on http://127.0.0.1:1")
    assert (second["event"], second["request_id"]) == ("call", "req_ba05d7a7fc22efa8")
    assert (third["logger"], third["level"], third["request_id"]) == ("uvicorn.error", "warning", "req_1")


def test_the_level_holds_for_calls_and_messages(tmp_path: Path) -> None:
    """What is below the configured level is not written; calls are still counted."""

    def work(telemetry: Telemetry) -> None:
        logging.getLogger("any").info("quiet")
        for status, error in ((200, None), (502, "upstream_error")):
            telemetry.began()
            telemetry.offer(record(status=status, error=error))
        assert b'status="200"} 1.0' in telemetry.render_metrics()[0]

    assert [line["status"] for line in lines_of(tmp_path, work, "warning")] == [502]


def test_in_flight_goes_up_and_down() -> None:
    """A call is in flight from `began` to `offer`."""
    telemetry = Telemetry(schema.Telemetry(log_level="error"))
    telemetry.began()
    telemetry.began()
    assert telemetry.in_flight == 2
    telemetry.offer(record())
    assert b"llmgw_requests_in_flight 1.0" in telemetry.render_metrics()[0]


def test_a_full_queue_shows_in_the_metrics() -> None:
    """Lines that found no room are counted under the queue's name."""
    telemetry = Telemetry(schema.Telemetry(queue=3))
    for _ in range(5):
        telemetry.began()
        telemetry.offer(record())
    assert b'llmgw_telemetry_dropped_total{queue="log"} 2.0' in telemetry.render_metrics()[0]


def test_only_the_unforeseen_has_a_traceback(tmp_path: Path) -> None:
    """An outage that has a name is one sentence however it is logged; a defect carries its traceback."""

    def work(_: Telemetry) -> None:
        log = logging.getLogger("llmgw.store")
        known = (
            StoreUnavailable("the file is gone"),
            DependencyUnavailable("Try later.", detail="disk is full"),
        )
        for error in (*known, ZeroDivisionError("division")):
            try:
                raise error
            except Exception:
                log.exception("the store failed")

    outage, dependency, defect = lines_of(tmp_path, work)
    assert outage["message"] == "the store failed: the file is gone"
    assert dependency["message"] == "the store failed: disk is full"
    assert "traceback" not in outage
    assert "traceback" not in dependency
    assert "ZeroDivisionError: division" in defect["traceback"]


def test_careless_log_calls_are_written_all_the_same(tmp_path: Path) -> None:
    """Arguments that do not fit their format, or cannot be printed, fail nothing."""

    def work(_: Telemetry) -> None:
        logging.getLogger("any").info("%d of %d", 1)
        logging.getLogger("any").info("%s", Stubborn())

    first, second = lines_of(tmp_path, work)
    assert first["message"].startswith("%d of %d (")
    assert second["message"].startswith("%s (")


def test_warnings_of_python_are_lines(tmp_path: Path) -> None:
    """They do not go to stderr in a form of their own."""

    def work(_: Telemetry) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old-fashioned", DeprecationWarning, stacklevel=1)

    (line,) = lines_of(tmp_path, work)
    assert line["logger"] == "py.warnings"
    assert "old-fashioned" in line["message"]


def test_logging_is_given_back(tmp_path: Path) -> None:
    """After the run the root logger is as it was before."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    lines_of(tmp_path, lambda _: None)
    assert (root.handlers, root.level) == before


FROZEN = """
import logging, sys
from llmgw.config import schema
from llmgw.telemetry import Telemetry
with Telemetry(schema.Telemetry()):
    for number in range(100):
        logging.getLogger("any").warning("%s", "x" * 8000)
    print("logged", flush=True)
"""


def test_a_frozen_reader_does_not_stop_the_end_of_the_process() -> None:
    """With nobody reading stderr, a process that has logged more than the pipe holds still ends, with code 0."""
    read_end, write_end = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", FROZEN], stdout=subprocess.PIPE, stderr=write_end)
    try:
        began = time.monotonic()
        assert process.wait(30) == 0
        assert time.monotonic() - began < 20
        assert process.stdout is not None
        assert process.stdout.read() == b"logged\n"
        process.stdout.close()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(read_end)
        os.close(write_end)


IDLE = """
import sys, time
from llmgw.config import schema
from llmgw.telemetry import Telemetry
with Telemetry(schema.Telemetry()):
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="counts context switches through /proc")
def test_nothing_to_write_costs_nothing() -> None:
    """An idle writer never wakes: the thread's voluntary context switches stand still."""
    process = subprocess.Popen([sys.executable, "-c", IDLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        (thread,) = (
            task for task in Path(f"/proc/{process.pid}/task").iterdir() if task.name != str(process.pid)
        )

        def switches() -> int:
            status = (thread / "status").read_text()
            return int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])

        wait_until(lambda: "S" in (thread / "stat").read_text().split(")")[1].split()[0] or None)
        before = switches()
        time.sleep(0.5)
        assert switches() == before
    finally:
        process.stdin.close()
        process.stdout.close()
        process.send_signal(signal.SIGTERM)
        process.wait(20)
