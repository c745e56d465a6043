"""What is wrong with the `flags:` and `flag_provider:` sections beyond their types.

That a flag is on for everyone and for ten per cent besides is no order that could be carried out: it is refused, for
its author means one of the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from llmgw.config.budget import dollars
from llmgw.config.faults import Place
from llmgw.config.flags import Flag, FlagProvider, Guard
from llmgw.config.schema import Config

Fault = tuple[Place, str]

NAME_LIMIT: Final = 64
_TARGETING: Final = ("percentage", "orgs", "keys")
_OF_FLAGD: Final = {"host": "host", "port": "port", "tls": "tls", "deadline": "deadline_s"}
_BUILTIN: Final = FlagProvider()


def find(config: Config) -> Iterator[Fault]:
    """Every fault: where it stands, and what to say of it."""
    remote = config.flag_provider.kind != "builtin"
    if not remote:
        for name, field in _OF_FLAGD.items():
            if getattr(config.flag_provider, field) != getattr(_BUILTIN, field):
                yield ("flag_provider", name), "belongs to kind: flagd; leave it out."
    for name, flag in config.flags.items():
        place: Place = ("flags", name)
        if not _is_name(name):
            yield place, f"a flag's name has 1 to {NAME_LIMIT} letters, digits, '-', '_' and '.'."
        yield from _targeting(place, flag, remote)
        if flag.guard is not None:
            yield from _guard((*place, "guard"), flag.guard)


def _targeting(place: Place, flag: Flag, remote: bool) -> Iterator[Fault]:
    for name in _TARGETING:
        if not getattr(flag, name):
            continue
        if remote:
            yield (*place, name), "belongs to flag_provider.kind: builtin; flagd has rules of its own."
        elif flag.default:
            yield (*place, name), "says nothing beside default: true, which is everyone; make that false."


def _guard(place: Place, guard: Guard) -> Iterator[Fault]:
    if guard.error_rate is None and guard.latency_s is None and guard.cost is None:
        yield place, "guards nothing; give it error_rate, latency or cost."
    if guard.error_rate == 1:
        yield (*place, "error_rate"), "can never be passed: 1 is every call; give a smaller share."
    if guard.cost is not None and dollars(guard.cost) is None:
        yield (*place, "cost"), "must be US dollars, such as 0.02."


def _is_name(name: str) -> bool:
    return 0 < len(name) <= NAME_LIMIT and all(
        letter.isascii() and (letter.isalnum() or letter in "-_.") for letter in name
    )
