"""One answer to a scrape from all the processes of a node: each posts what it counts in a folder they share.

A worker posts once a second and before it answers a scrape. What a scrape has shown is therefore in the folder,
and whichever worker answers the next one shows at least as much: counters never go down. The supervisor posts as
process 0 what it knows of its workers, and the counters of those that have ended, which so outlive them; of
gauges only what runs counts. A worker that is killed takes at most its last second with it.

Posts replace each other by renaming, so nobody waits for anybody: a stuck worker's numbers stand still and the
others' go on. Between the supervisor's taking over a worker's numbers and its removing their file they are there
twice; process 0 says whom it has taken over, and is read last.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PERIOD_S: Final = 1.0
REFRESH_S: Final = 60.0
"""Between two posts of a supervisor that has nothing new to say: what cleans temporary folders goes by age."""
SUPERVISOR: Final = 0
_REFUSAL: Final = "refusal"
SERIES: Final = 20_000
"""Series of ended workers that are kept of one metric: some thousand models and providers, with their statuses."""

LARGEST: Final = frozenset({"llmgw_build", "llmgw_breaker_state", "llmgw_flag_on", "llmgw_panic"})
"""Gauges that each process tells of the same thing: the node's is the largest."""
SMALLEST: Final = frozenset(
    {
        "llmgw_config_last_reload_successful",
        "llmgw_flag_provider_up",
        "process_max_fds",
        "process_start_time_seconds",
    }
)
"""Gauges of which the smallest is the node's. What is in neither set is added up."""

_ADDED: Final = frozenset({"counter", "histogram"})
_LATELY: Final = 100
"""Ended workers that are named as taken over; a reader is between two of their files for milliseconds only."""


_made: Final[set[Path]] = set()
"""Folders of this process."""

_log = logging.getLogger("llmgw.telemetry")

Key = tuple[str, tuple[tuple[str, str], ...]]
"""A series: the sample's name and its labels."""


class Family(Struct, array_like=True):
    """A metric with its series."""

    name: str
    kind: str
    documentation: str
    series: dict[Key, float]


class _Post(Struct, array_like=True):
    families: list[Family]
    taken_over: tuple[int, ...] = ()


_decoder: Final = msgspec.msgpack.Decoder(_Post)


class Board(Collector):
    """The supervisor's end; a context manager around the life of the node's processes.

    A folder that is full or gone costs the metrics and nothing else: only `place(...).render` tells of it.
    """

    def __init__(self) -> None:
        self._folder = _new_folder()
        self._past: dict[str, Family] = {}
        self._taken_over: tuple[int, ...] = ()
        self._workers = 0
        self._crashes = 0
        self._reloads = {"applied": 0, "refused": 0}
        self._refused = False
        self._posted_at: float | None = None

    def place(self, number: int, collector: Collector) -> Place:
        """Where the worker `number` posts what `collector` counts."""
        return Place(self._folder, number, collector)

    def retire(self, number: int) -> None:
        """Take over the counters of a worker that has ended."""
        file = self._folder / str(number)
        post = _read(file)
        if post is None:
            return
        file.with_name(f"{number}.new").unlink(missing_ok=True)
        _add(self._past, (family for family in post.families if family.kind in _ADDED))
        for family in self._past.values():
            if len(family.series) > SERIES:
                family.series = dict(list(family.series.items())[:SERIES])
        self._taken_over = (*self._taken_over, number)[-_LATELY:]
        if self._post():
            file.unlink(missing_ok=True)

    def crashed(self) -> None:
        """A worker has ended that was not told to."""
        self._crashes += 1
        self._post()

    def reloaded(self, ok: bool, refusal: str | None) -> None:
        """A configuration is in force in every worker from here on, or none of them takes it, and why."""
        self._reloads["applied" if ok else "refused"] += 1
        self._refused = not ok
        with contextlib.suppress(OSError):
            if refusal is None:
                (self._folder / _REFUSAL).unlink(missing_ok=True)
            else:
                _replace(self._folder / _REFUSAL, refusal.encode())
        self._post()

    def refresh(self, workers: int) -> None:
        """Say how many workers run; to be called each second or so."""
        now = time.monotonic()
        if workers != self._workers or self._posted_at is None or now - self._posted_at > REFRESH_S:
            self._workers = workers
            self._post()

    def collect(self) -> Iterator[Metric]:
        """What the supervisor itself knows. What workers tell as well has its description from them."""
        yield GaugeMetricFamily("llmgw_workers", "Worker processes that run.", self._workers)
        yield CounterMetricFamily(
            "llmgw_worker_crashes", "Workers that have ended without being told to.", value=self._crashes
        )
        yield GaugeMetricFamily("llmgw_config_last_reload_successful", "", not self._refused)
        reloads = CounterMetricFamily("llmgw_config_reloads", "", labels=("outcome",))
        for outcome, count in self._reloads.items():
            reloads.add_metric((outcome,), count)
        yield reloads

    def _post(self) -> bool:
        self._posted_at = time.monotonic()
        families: dict[str, Family] = {}
        _add(families, self._past.values())
        _add(families, _families(self.collect()))
        try:
            _write(self._folder / str(SUPERVISOR), _Post(list(families.values()), self._taken_over))
        except OSError as error:
            _log.warning("the metrics of ended workers cannot be kept: %s", error)
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class Place:
    """A worker's end."""

    def __init__(self, folder: Path, number: int, collector: Collector) -> None:
        self.folder = folder
        self._file = folder / str(number)
        self._collector = collector
        self._writing = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="llmgw-board", daemon=True)

    def start(self) -> None:
        """Begin to post; once."""
        self._thread.start()

    def stop(self) -> None:
        """Post for the last time."""
        self._stopping.set()
        self._thread.join()

    @property
    def refusal(self) -> str | None:
        """Why the newest configuration is in no worker; None when it is in all of them, or will be."""
        try:
            return (self.folder / _REFUSAL).read_text("utf-8")
        except OSError:
            return None

    def post(self) -> None:
        """Write down what this process has counted."""
        with self._writing:
            _write(self._file, _Post(_families(self._collector.collect())))

    def render(self) -> tuple[bytes, str]:
        """What the node's processes have counted together, and its media type.

        Raises:
            OSError: the folder has gone.
        """
        self.post()
        return generate_latest(_Collected(self._node())), CONTENT_TYPE_LATEST

    def _node(self) -> dict[str, Family]:
        posts = {}
        for file in self.folder.iterdir():
            if file.name.isdecimal() and int(file.name) != SUPERVISOR:
                post = _read(file)
                if post is not None:
                    posts[int(file.name)] = post
        supervisor = _read(self.folder / str(SUPERVISOR)) or _Post([])
        merged: dict[str, Family] = {}
        for number in sorted(posts):
            if number not in supervisor.taken_over:
                _add(merged, posts[number].families)
        _add(merged, supervisor.families)
        return merged

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(PERIOD_S)
            with contextlib.suppress(
                OSError
            ):  # a full or vanished folder is told to who asks for the metrics
                self.post()


class _Collected(Collector):
    def __init__(self, families: dict[str, Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families.values():
            metric = Metric(family.name, family.documentation, family.kind)
            for (name, labels), value in family.series.items():
                metric.add_sample(name, dict(labels), value)
            yield metric


def _families(metrics: Iterable[Metric]) -> list[Family]:
    return [
        Family(
            metric.name,
            metric.type,
            metric.documentation,
            {(one.name, tuple(one.labels.items())): float(one.value) for one in metric.samples},
        )
        for metric in metrics
    ]


def _add(merged: dict[str, Family], families: Iterable[Family]) -> None:
    """Merge `families` into what is there, each by its sense."""
    for family in families:
        there = merged.get(family.name)
        if there is None:
            merged[family.name] = Family(family.name, family.kind, family.documentation, dict(family.series))
            continue
        combine = _combine(family)
        series = there.series
        for key, value in family.series.items():
            series[key] = combine((series[key], value)) if key in series else value


def _combine(family: Family) -> Callable[[Sequence[float]], float]:
    if family.name in LARGEST:
        return max
    if family.name in SMALLEST:
        return min
    return sum


def _new_folder() -> Path:
    """A private folder, in memory where the system has such a place; those of servers that were killed go."""
    base = Path("/dev/shm")  # noqa: S108 - the folder in it is made by mkdtemp
    if not os.access(base, os.W_OK):
        base = Path(tempfile.gettempdir())
    prefix = f"llmgw-{os.geteuid()}-"
    for former in base.glob(f"{prefix}*"):
        pid = former.name.removeprefix(prefix).partition("-")[0]
        if former in _made or not pid.isdecimal() or _lives(int(pid)):
            continue
        with contextlib.suppress(OSError):
            if former.lstat().st_uid == os.geteuid():
                shutil.rmtree(former)
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=base))
    _made.add(folder)
    return folder


def _lives(pid: int) -> bool:
    if pid == os.getpid():
        return False  # its number has come to us, as 1 does in a container that starts again
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _read(file: Path) -> _Post | None:
    try:
        return _decoder.decode(file.read_bytes())
    except FileNotFoundError:
        return None


def _write(file: Path, post: _Post) -> None:
    _replace(file, msgspec.msgpack.encode(post))


def _replace(file: Path, content: bytes) -> None:
    draft = file.with_name(f"{file.name}.new")
    draft.write_bytes(content)
    draft.replace(file)
