"""Reads `llmgw.yaml`: text in, a typed configuration and every fault out.

`read` is pure; `load` and `check` add the file. A file with an error gives no configuration at all, so that a
running server keeps the one it has.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml
from msgspec import Struct

from llmgw.config import checks, nodes
from llmgw.config.faults import Fault, Faults
from llmgw.config.schema import Config
from llmgw.errors import ConfigInvalid

SIZE_LIMIT: Final = 4 * 1024 * 1024


class Reading(Struct, frozen=True):
    """What came of a text: `config` is None where a fault is an error."""

    config: Config | None
    faults: tuple[Fault, ...]


def read(text: str, env: Mapping[str, str]) -> Reading:
    """Read a configuration; `env` is what `${NAME}` takes its values from."""
    faults = Faults()
    config = None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        faults.error(_at(error.problem_mark or error.context_mark), "", f"is not YAML: {error.problem}.")
    except yaml.YAMLError as error:
        faults.error(_at(None), "", f"is not YAML: {error}.")
    except RecursionError:
        faults.error(_at(None), "", "is nested too deeply.")
    else:
        config = _config(root, env, faults)
    found = faults.in_order()
    failed = any(fault.severity == "error" for fault in found)
    return Reading(None if failed else config, found)


def _config(root: yaml.Node | None, env: Mapping[str, str], faults: Faults) -> Config | None:
    if not isinstance(root, yaml.MappingNode):
        faults.error(root or _at(None), "", "must be a mapping that begins with version: 1.")
        return None
    builder = nodes.Builder(faults, env)
    config = builder.build(root, nodes.type_of(Config), "")
    if nodes.is_missing(config):
        return None
    assert isinstance(config, Config)
    checks.check(config, builder.nodes, faults)
    return config


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
        raise ConfigInvalid(f"{path} is larger than {SIZE_LIMIT // 1024 // 1024} MiB; is it a configuration?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"{path} is not UTF-8 text (byte {error.start}).") from error


def _at(mark: yaml.Mark | None) -> yaml.Node:
    """A place to hang a fault on where there is no node."""
    mark = mark or yaml.Mark("", 0, 0, 0, None, 0)
    return yaml.ScalarNode("", "", mark, mark)
