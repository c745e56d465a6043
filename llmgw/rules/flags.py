"""Whether a flag is on for a key's calls. Pure: (definition, key) -> bool, the same in every process.

What an operator or a guard has said of a flag stands in place of the configuration. A share of the keys is drawn by a
hash of flag and key, not by chance: a key stays on its side, the keys of 10 per cent are among those of 20, and two
flags draw different ones.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, Literal

from msgspec import Struct

from llmgw.config.flags import Flag
from llmgw.rules.access import KeyRecord

State = Literal["on", "off", "cleared"]
"""`cleared`: as the configuration has it."""
By = Literal["operator", "guard"]

_BUCKETS: Final = 1 << 64


class Change(Struct, frozen=True, kw_only=True):
    """What was said of a flag last, and by whom; in place of the configuration unless it is `cleared`."""

    flag: str
    state: State
    percentage: float = 0.0
    orgs: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    """With `on`: for these alone; where nothing of the three is given, for everyone."""
    by: By = "operator"
    actor: str
    reason: str
    time: float
    """Unix seconds."""


class Definition(Struct, frozen=True, kw_only=True):
    """Who has a flag on."""

    flag: str
    everyone: bool
    percentage: float = 0.0
    """Of the keys that are not named, 0 to 100."""
    orgs: frozenset[str] = frozenset()
    """By name or id."""
    keys: frozenset[str] = frozenset()
    """By id, public id or name."""

    @property
    def fixed(self) -> bool | None:
        """The answer that everyone gets; None where it depends on the key."""
        if self.everyone or self.percentage >= 100:
            return True
        return None if self.percentage > 0 or self.orgs or self.keys else False

    @property
    def share(self) -> float:
        """The share of keys that have it on, 0 to 1, those that are named left out."""
        return 1.0 if self.everyone else self.percentage / 100


def of_config(name: str, flag: Flag) -> Definition:
    """As the configuration has it."""
    return Definition(
        flag=name,
        everyone=flag.default,
        percentage=flag.percentage,
        orgs=frozenset(flag.orgs),
        keys=frozenset(flag.keys),
    )


def of_change(change: Change) -> Definition | None:
    """As it was set; None where the configuration holds."""
    if change.state == "cleared":
        return None
    if change.state == "off":
        return Definition(flag=change.flag, everyone=False)
    some = bool(change.percentage or change.orgs or change.keys)
    return Definition(
        flag=change.flag,
        everyone=not some,
        percentage=change.percentage,
        orgs=frozenset(change.orgs),
        keys=frozenset(change.keys),
    )


def is_on(definition: Definition, key: KeyRecord) -> bool:
    """Whether the flag is on for the key's calls."""
    fixed = definition.fixed
    if fixed is not None:
        return fixed
    orgs, keys = definition.orgs, definition.keys
    if orgs and (key.org in orgs or key.org_id in orgs):
        return True
    if keys and (key.id in keys or key.public_id in keys or key.name in keys):
        return True
    return definition.percentage > 0 and bucket(definition.flag, key.id) < definition.percentage


def bucket(flag: str, key_id: str) -> float:
    """Where a key stands among all keys for that flag, from 0 to below 100."""
    digest = blake2b(key_id.encode(), digest_size=8, key=flag.encode()[:64], person=b"llmgw flags").digest()
    # The highest numbers would round up to 100, and a key there would be in no percentage.
    return min(int.from_bytes(digest, "big") / _BUCKETS * 100, 99.999_999)
