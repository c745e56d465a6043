"""Reads `llmgw.yaml`: text in, a typed configuration and every fault out.

Text becomes nodes (`document`), nodes become typed values (`nodes`, `scalars`, `variables`), and what types cannot
say is checked (`checks`). `read` is pure; `load` and `check` add the file. A file with an error gives no
configuration at all, so that a running server keeps the one it has.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from msgspec import Struct, inspect

from llmgw.config import checks
from llmgw.config.document import SIZE_LIMIT, compose
from llmgw.config.faults import Fault, Faults, TooMany
from llmgw.config.nodes import MISSING, Builder
from llmgw.config.schema import Config
from llmgw.errors import ConfigInvalid


class Reading(Struct, frozen=True):
    """What came of a text: `config` is None where a fault is an error."""

    config: Config | None
    faults: tuple[Fault, ...]


def read(text: str, env: Mapping[str, str]) -> Reading:
    """Read a configuration; `env` is what `${NAME}` takes its values from. Raises nothing."""
    faults = Faults()
    config = None
    try:
        root = compose(text, faults)
        if root is not None:
            builder = Builder(faults, env)
            built = builder.build(root, inspect.type_info(Config))
            if built is not MISSING:
                checks.check(built, builder, faults)
                config = built
    except TooMany:
        pass  # the last fault says so
    found = faults.in_order()
    failed = any(fault.severity == "error" for fault in found)
    return Reading(None if failed else config, found)


def load(path: Path, env: Mapping[str, str] = os.environ) -> tuple[Config, tuple[Fault, ...]]:
    """The configuration in a file, and its warnings.

    Raises:
        ConfigInvalid: it cannot be read, or has errors; the text lists them all.
    """
    reading = read(_text(path), env)
    if reading.config is None:
        errors = [fault for fault in reading.faults if fault.severity == "error"]
        raise ConfigInvalid("\n".join(f"{path}:{fault}" for fault in errors))
    return reading.config, reading.faults


def load_part(path: Path, sections: Collection[str], env: Mapping[str, str] = os.environ) -> Config:
    """Only those sections of a file, with the defaults for the rest; what is wrong elsewhere does not matter.

    For what must work on the worst day: in a shell without the providers' secrets, in the middle of an edit.

    Raises:
        ConfigInvalid: it is no YAML, or those sections have errors.
    """
    faults = Faults()
    built = MISSING
    try:
        root = compose(_text(path), faults)
        if root is not None:
            wanted = {"version", *sections}
            root.value = [
                pair for pair in root.value if isinstance(pair[0].value, str) and pair[0].value in wanted
            ]
            built = Builder(faults, env).build(root, inspect.type_info(Config))
    except TooMany:
        pass
    if built is MISSING:
        raise ConfigInvalid("\n".join(f"{path}:{fault}" for fault in faults.in_order()))
    config: Config = built
    return config


def check(path: Path, env: Mapping[str, str] = os.environ) -> tuple[Fault, ...]:
    """Every fault of a file; ConfigInvalid where it cannot be read at all."""
    return read(_text(path), env).faults


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
    except FileNotFoundError as error:
        raise ConfigInvalid(
            f"There is no configuration at {path}; 'llmgw init' makes one, --config names another."
        ) from error
    except OSError as error:
        raise ConfigInvalid(f"Cannot read {path}: {error.strerror}.") from error
    if len(raw) > SIZE_LIMIT:
        raise ConfigInvalid(f"{path} is larger than {SIZE_LIMIT // 1024} KiB; is it a configuration?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
