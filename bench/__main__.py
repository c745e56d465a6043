"""`python -m bench`: one table of the gateway against nginx and a direct connection."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from bench import clients, servers, translation
from bench.clients import Address
from bench.servers import GATEWAY_CORE, LOAD_CORE, Process

CONNECTIONS = 64
RATES = (100, 500, 1000)
STREAMS = 100
FOREIGN_LIMIT = 0.03
"""Share of the gateway's core; one busy neighbour raised a p99 of 0.4 ms to 5 ms."""


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds; medians are printed")
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement in a round")
    parser.add_argument("--soak", type=int, default=0, help="seconds of constant load for the memory line")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    missing = [package for package in ("nginx", "wrk", "taskset") if shutil.which(package) is None]
    if missing:
        sys.exit(
            f"The benchmark needs {', '.join(missing)}; on Debian: apt install nginx-light wrk util-linux"
        )
    # `timeout` and a pipeline's cancel send SIGTERM: leave by the context managers, which end every process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.sched_setaffinity(0, {LOAD_CORE})
    with tempfile.TemporaryDirectory(prefix="llmgw-bench-") as folder:
        results = {
            "machine": machine(),
            "plain": _plain(Path(folder), options.rounds, options.seconds),
            "streams": _streams(Path(folder), options.rounds),
            "translation": translation.measure(Path(folder), options.rounds, options.seconds, wrk),
        }
        if options.soak:
            results["soak"] = _soak(Path(folder), options.soak)
    print(json.dumps(results, indent=2) if options.json else _table(results))


def machine() -> dict[str, str]:
    """What was measured on."""
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    # Profile-guided builds need not show in these flags (Debian's does not), so only the level is told.
    level = re.findall(r"-O\S+", str(sysconfig.get_config_var("PY_CFLAGS")))
    nginx_version = subprocess.run(
        ["nginx", "-v"], capture_output=True, text=True, check=False
    ).stderr.strip()
    return {
        "cpu": cpu[1] if cpu else "unknown",
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": f"{platform.python_version()} (compiled with {level[-1] if level else 'no -O'})",
        "nginx": nginx_version.rpartition("/")[2],
    }


def _plain(folder: Path, rounds: int, seconds: int) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(servers.plain_provider(folder))
        tested: list[Process] = [
            provider,
            stack.enter_context(servers.nginx_proxy(folder, "nginx", provider.port)),
            stack.enter_context(servers.nginx_proxy(folder, "nginx+log", provider.port, access_log=True)),
            stack.enter_context(servers.llmgw(folder, "llmgw", provider.port)),
        ]
        tested[0].name = "direct"
        peer = stack.enter_context(servers.litellm(folder, "litellm", provider.port))
        if peer is not None:
            tested.append(peer)
        found: dict[str, dict[str, list[float]]] = {process.name: {} for process in tested}

        def note(name: str, what: str, value: float) -> None:
            found[name].setdefault(what, []).append(value)

        def foreign_s() -> float:
            """What the gateway's core did for others than those tested (the first runs on the other core)."""
            return servers.busy_s(GATEWAY_CORE) - sum(process.cpu_s() for process in tested[1:])

        for process in tested:
            note(process.name, "rss_idle_mib", process.rss_mib())
        began, foreign = time.monotonic(), foreign_s()
        for _ in range(rounds):
            for process in tested:
                before = process.cpu_s()
                requests, rate = wrk(folder, process, seconds)
                note(process.name, "rps", rate)
                if process.name != "direct":
                    note(process.name, "cpu_ms_per_1000", (process.cpu_s() - before) / requests * 1e6)
                note(process.name, "rss_loaded_mib", process.rss_mib())
        for rate_wanted in RATES:
            for _ in range(rounds):
                for process in tested:
                    if process.name in ("litellm", "nginx+log"):
                        continue  # LiteLLM serves less than the lowest rate: only its queue would be measured
                    waits = clients.latencies(Address(process.port, process.request()), rate_wanted, seconds)
                    note(process.name, f"p50_ms_at_{rate_wanted}", waits[len(waits) // 2] * 1000)
                    note(process.name, f"p99_ms_at_{rate_wanted}", waits[int(len(waits) * 0.99)] * 1000)
        foreign_share = (foreign_s() - foreign) / (time.monotonic() - began)
        if foreign_share > FOREIGN_LIMIT:
            print(
                f"WARNING: other programs took {foreign_share:.0%} of the gateway's core; the figures, and the "
                "p99 most of all, are theirs too. Repeat on a quiet machine.",
                file=sys.stderr,
            )
    medians = {
        name: {what: round(median(values), 3) for what, values in lines.items()}
        for name, lines in found.items()
    }
    # Where neighbours share the machine, requests/s of one program move more than programs differ: show it.
    for name, lines in found.items():
        medians[name]["rps_least"] = round(min(lines["rps"]), 3)
        medians[name]["rps_most"] = round(max(lines["rps"]), 3)
    return medians


def wrk(
    folder: Path,
    process: Process,
    seconds: int,
    path: str = "/v1/chat/completions",
    body: str = servers.BODY,
) -> tuple[int, float]:
    """Requests and requests/s at 64 connections; any other answer than 2xx ends the run."""
    script = folder / f"{process.name}.lua"
    body = body.replace("'", "\\'")
    script.write_text(
        f"wrk.method = 'POST'\nwrk.body = '{body}'\n"
        "wrk.headers['content-type'] = 'application/json'\n"
        f"wrk.headers['authorization'] = 'Bearer {process.key}'\n"
    )
    done = subprocess.run(
        ["wrk", "-t1", "--timeout", "20s", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script),
         f"http://127.0.0.1:{process.port}{path}"],
        capture_output=True, text=True, timeout=seconds + 30, check=True,
    )  # fmt: skip
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        sys.exit(f"{process.name} failed under load:\n{done.stdout}")
    requests = re.search(r"(\d+) requests in", done.stdout)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert requests is not None and rate is not None
    if int(requests[1]) == 0:
        sys.exit(f"{process.name} answered nothing in {seconds} s; give it more --seconds")
    return int(requests[1]), float(rate[1])


def _streams(folder: Path, rounds: int) -> dict[str, float]:
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(servers.stream_provider())
        tested = [
            stack.enter_context(servers.nginx_proxy(folder, "nginx-streams", provider.port)),
            stack.enter_context(servers.llmgw(folder, "llmgw-streams", provider.port)),
        ]
        found: dict[str, list[float]] = {}
        for _ in range(rounds):
            for process in tested:
                before = process.cpu_s()
                chunks = clients.streams(Address(process.port, process.request(stream=True)), STREAMS, 4)
                found.setdefault(process.name, []).append((process.cpu_s() - before) / chunks * 1e6)
    return {name.removesuffix("-streams"): round(median(values), 1) for name, values in found.items()}


def _soak(folder: Path, seconds: int) -> dict[str, float]:
    """Memory under constant load: least, most, and the slope after the first minute."""
    folder = folder / "soak"
    folder.mkdir()
    with (
        servers.plain_provider(folder) as provider,
        servers.llmgw(folder, "llmgw", provider.port) as process,
        ThreadPoolExecutor(1) as pool,
    ):
        samples: list[tuple[float, float]] = []
        load = pool.submit(wrk, folder, process, seconds)
        began = time.monotonic()
        while not load.done():
            samples.append((time.monotonic() - began, process.rss_mib()))
            time.sleep(1)
        load.result()  # a load that failed proves nothing about memory: its error ends the run
        warm = [sample for sample in samples if sample[0] > min(60.0, seconds / 4)]
        sizes = [size for _, size in warm]
        middle = sum(at for at, _ in warm) / len(warm)
        spread = sum((at - middle) ** 2 for at, _ in warm)
        slope = sum((at - middle) * size for at, size in warm) / spread if spread else 0.0
        return {
            "seconds": seconds,
            "min_mib": round(min(sizes), 1),
            "max_mib": round(max(sizes), 1),
            "slope_mib_per_minute": round(slope * 60, 3),
        }


def _table(results: dict[str, Any]) -> str:
    lines = [", ".join(f"{name} {value}" for name, value in results["machine"].items()), ""]
    plain = results["plain"]
    names = list(plain)
    lines.append(f"{'':24}" + "".join(f"{name:>12}" for name in names))
    for what in dict.fromkeys(key for values in plain.values() for key in values):
        lines.append(f"{what:24}" + "".join(f"{plain[name].get(what, float('nan')):12.2f}" for name in names))
    lines.append(
        f"{'rps / nginx':24}"
        + "".join(f"{plain[name]['rps'] / plain['nginx']['rps']:12.3f}" for name in names)
    )
    for rate in RATES:
        for part in ("p50", "p99"):
            what = f"{part}_ms_at_{rate}"
            added = (
                f"{plain[name][what] - plain['direct'][what]:12.3f}" if what in plain[name] else f"{'':12}"
                for name in names
            )
            lines.append(f"{f'added {what}':24}" + "".join(added))
    lines.append("")
    lines += [f"CPU us per relayed chunk, {name}: {value}" for name, value in results["streams"].items()]
    lines += [f"translation, {name}: {value}" for name, value in results["translation"].items()]
    if "soak" in results:
        lines.append(
            "Memory under load: " + ", ".join(f"{name} {value}" for name, value in results["soak"].items())
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
