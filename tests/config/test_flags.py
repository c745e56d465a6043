"""The sections `flags` and `flag_provider`: what they mean, and what they refuse."""

from __future__ import annotations

import pytest

from llmgw.config.flags import Flag, FlagProvider, Guard
from tests.config.support import HEAD, config_of, faults

POOL = "\nproviders: {p: {dialect: simulator}}\nmodels: {m: {targets: [p/a, p/b], hedge: {flag: %s}}}"


def test_all_of_it() -> None:
    """Units as everywhere; what is left out is off, and nobody's."""
    config = config_of(
        HEAD + "flags:\n  cheap: {percentage: 10, orgs: [acme], keys: [key_1], description: d,\n"
        "    guard: {error_rate: 0.05, latency: 3s, cost: 0.02, window: 1m, min_calls: 5}}\n  plain: {}\n"
        "flag_provider: {kind: builtin}"
    )
    assert config.flags["cheap"] == Flag(
        percentage=10,
        orgs=("acme",),
        keys=("key_1",),
        description="d",
        guard=Guard(error_rate=0.05, latency_s=3.0, cost="0.02", window_s=60.0, min_calls=5),
    )
    assert config.flags["plain"] == Flag() and Flag().default is False
    remote = config_of(HEAD + "flag_provider: {kind: flagd, host: flags, port: 1, tls: true, deadline: 2s}")
    assert remote.flag_provider == FlagProvider(kind="flagd", host="flags", port=1, tls=True, deadline_s=2.0)


@pytest.mark.parametrize(
    ("text", "line", "path", "says"),
    [
        ("flags:\n  f: {percentage: 101}", 3, "flags.f.percentage", "from 0 to 100"),
        ("flags:\n  f: {percentage: -1}", 3, "flags.f.percentage", "from 0 to 100"),
        ("flags:\n  f: {default: true, percentage: 5}", 3, "flags.f.percentage", "everyone"),
        ("flags:\n  f: {default: true, orgs: [a]}", 3, "flags.f.orgs", "everyone"),
        ("flags:\n  f: {guard: {}}", 3, "flags.f.guard", "guards nothing"),
        ("flags:\n  f: {guard: {error_rate: 1}}", 3, "flags.f.guard.error_rate", "never be passed"),
        ("flags:\n  f: {guard: {error_rate: 2}}", 3, "flags.f.guard.error_rate", "from 0 to 1"),
        ("flags:\n  f: {guard: {cost: cheap}}", 3, "flags.f.guard.cost", "US dollars"),
        ("flags:\n  f: {guard: {latency: 3}}", 3, "flags.f.guard.latency", "duration"),
        ("flags:\n  f: {guard: {cost: 1, min_calls: 0}}", 3, "flags.f.guard.min_calls", "1"),
        ("flags:\n  'a b': {}", 3, "flags.a b", "letters, digits"),
        ("flag_provider: {kind: flag}", 2, "flag_provider.kind", "builtin or flagd"),
        ("flag_provider: {host: there}", 2, "flag_provider.host", "belongs to kind: flagd"),
        ("flag_provider: {deadline: 1s}", 2, "flag_provider.deadline", "belongs to kind: flagd"),
        ("flag_provider: {kind: flagd}\nflags: {f: {keys: [k]}}", 3, "flags.f.keys", "rules of its own"),
        ("flags: {fast: {}}" + POOL % "fats", 4, "models.m.hedge.flag", "did you mean 'fast'"),
    ],
)
def test_each_fault_at_its_line(text: str, line: int, path: str, says: str) -> None:
    [fault] = faults(HEAD + text)
    assert (fault.line, fault.path) == (line, path) and says in fault.message


def test_a_file_of_flags_has_nothing_to_complain_about() -> None:
    text = HEAD + "flags: {fast: {percentage: 50, guard: {cost: 0.01}}}" + POOL % "fast"
    assert faults(text) == [] and faults(text, "warning") == []
