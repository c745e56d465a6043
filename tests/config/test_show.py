"""What is shown can be read again, and what editors are told is true."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgw.config import units
from llmgw.config.models import Model, Retries, Target
from llmgw.config.providers import Provider, Simulation, TimeoutOverrides
from llmgw.config.read import read
from llmgw.config.routing import Policy
from llmgw.config.schema import Config, Server
from llmgw.config.show import dump, json_schema
from tests.config.support import ENV, EXAMPLE, HEAD, ROOT, config_of, faults

CONTRACT = ROOT.parent / "shared" / "CONTRACT.md"
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_example_is_valid_without_a_warning() -> None:
    """What a team starts from has nothing to complain about."""
    assert read(EXAMPLE, ENV).faults == ()
    assert config_of(EXAMPLE).models["claude"].targets == (
        Target(use="anthropic/claude-sonnet-4-5", timeouts=TimeoutOverrides(first_token_s=20)),
    )


def contracts_example(path: Path) -> str:
    """The file's own configuration, with the model that its route leads to."""
    block = path.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    return block.replace("\nmodels: ", "\nmodels:\n  cheap: {targets: [openai/gpt-4o-mini]}\n# ")


@pytest.mark.skipif(not CONTRACT.exists(), reason="the contract is not beside this checkout")
def test_the_contracts_own_configuration_has_warnings_only() -> None:
    """Every key that users are promised is known, to the reader and to editors."""
    text = contracts_example(CONTRACT)
    assert faults(text) == []
    assert {"admin"} <= {fault.path for fault in faults(text, "warning")}
    VALIDATOR.validate(yaml.safe_load(text))


def test_show_writes_what_reads_the_same() -> None:
    """The effective configuration, read again, is the same (but for secrets), and fits the schema."""
    env = {"OPENAI_API_KEY": "[redacted]", "ANTHROPIC_API_KEY": "[redacted]", "GEMINI_API_KEY": "[redacted]"}
    for text in (HEAD, EXAMPLE):
        config = config_of(text, env)
        assert config_of(yaml.safe_dump(dump(config)), {}) == config
        VALIDATOR.validate(dump(config))


def test_show_writes_names_and_units_as_the_file_has_them() -> None:
    """Defaults filled in, durations and sizes with their units."""
    shown = dump(config_of(HEAD + "providers: {p: {dialect: simulator, timeouts: {connect: 1500ms}}}"))
    assert shown["server"] == {
        "host": "127.0.0.1", "port": 8080, "workers": 1, "max_body": "32MiB", "drain": "30s",
    }  # fmt: skip
    assert shown["providers"]["p"]["timeouts"] == {
        "connect": "1.5s", "first_token": "1m", "idle": "1m", "total": "10m", "min_tokens_per_s": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["$", "$$", "${X}", "$${X}", "$$$", "a$b", "${", "100$", "${X:-y}", "null", "~", "010", "on", "a: b"],
)
def test_text_is_shown_so_that_it_reads_as_itself(text: str) -> None:
    """Dollars are doubled where they would begin a variable; what looks like something else is quoted."""
    config = Config(version=1, policies=(Policy(name="p", deny=text),))
    assert config_of(yaml.safe_dump(dump(config)), {"X": "other"}) == config


durations = st.decimals(min_value=0, max_value=999, places=6).flatmap(
    lambda number: st.sampled_from([f"{number:f}{unit}" for unit in ("ms", "s", "m", "h")])
)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20)


@settings(deadline=None, max_examples=50)
@given(durations, st.integers(1, 10**15), texts, st.floats(0, 1), st.floats(0, 1e6))
def test_whatever_was_read_shows_and_reads_the_same(
    duration: str, size: int, text: str, share: float, pace: float
) -> None:
    """Property: for every value, dollars, nulls and odd numbers included."""
    written = units.seconds(duration)
    assert written is not None
    config = Config(
        version=1,
        server=Server(host="::", max_body_bytes=size, drain_s=written),
        providers={
            "p": Provider(dialect="simulator", simulator=Simulation(error_rate=share, tokens_per_second=pace))
        },
        models={
            "null": Model(targets=("p/x", Target(use="p/$y")), retries=Retries(retry_on=(429, "timeout")))
        },
        policies=(Policy(name="on", deny=text),),
    )
    assert config_of(yaml.safe_dump(dump(config), allow_unicode=True), {}) == config


@given(st.integers(0, 10**9))
def test_durations_and_sizes_survive_a_round_trip(number: int) -> None:
    """Property: what is shown reads as the same value, exactly."""
    assert units.size(units.size_text(number)) == number
    for value_s in (float(number), number / 1000, number / 10**6):
        assert units.seconds(units.duration_text(value_s)) == value_s


@pytest.mark.parametrize(
    ("text", "value_s"),
    [("0", 0), ("0s", 0), ("500ms", 0.5), ("1.5s", 1.5), ("30s", 30), ("5m", 300), ("24h", 86400), ("30d", 2592000)],
)  # fmt: skip
def test_durations(text: str, value_s: float) -> None:
    """Each unit is worth what it says."""
    assert units.seconds(text) == value_s


@pytest.mark.parametrize(
    "text", ["", "5", "5 s", "-5s", "5S", "1e3s", "05s", "5s ", "5ms5", "٣s", ".5s", "5.s", "1:30"]
)
def test_what_is_no_duration(text: str) -> None:
    """Nothing is guessed."""
    assert units.seconds(text) is None


@pytest.mark.parametrize(
    ("text", "value"), [("512B", 512), ("64KiB", 65536), ("32MiB", 2**25), ("1GiB", 2**30), ("7", 7)]
)
def test_sizes(text: str, value: int) -> None:
    """Binary units; a plain number is bytes."""
    assert units.size(text) == value


@pytest.mark.parametrize("text", ["", "1KB", "1kib", "1.5MiB", "-1", "010", "1 MiB", "MiB", "٣"])
def test_what_is_no_size(text: str) -> None:
    """Decimal units are ambiguous in the field, and refused."""
    assert units.size(text) is None


def test_the_schema_is_one() -> None:
    """Draft 2020-12, and the example fits it."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(yaml.safe_load(EXAMPLE))


@pytest.mark.parametrize(
    "text",
    [
        "server: {drain: 0, max_body: 1024}",
        "server:",
        "server: {port: '${PORT}', max_body: '${SIZE:-1MiB}'}",
        "models_only: ${ONLY}",
        "providers: {p: {dialect: '${D:-simulator}', timeouts: {connect: 1.5s}}}",
        "models: {m: {targets: [p/x, {use: p/y, timeouts: {idle: 1s}}]}}",
        "admin: {port: same}",
        "store: {redis_url: null}",
    ],
)
def test_the_schema_takes_what_the_reader_takes(text: str) -> None:
    """Units, variables, both forms of a target, empty sections."""
    VALIDATOR.validate(yaml.safe_load(HEAD + text))


@pytest.mark.parametrize(
    "text",
    [
        "servr: {}",
        "server: {prt: 1}",
        "server: {drain: 30}",
        "server: {drain: 30x}",
        "server: {port: 70000}",
        "server: {host: ''}",
        "models_only: 1",
        "providers: {p: {}}",
        "providers: {p: {dialect: opnai}}",
        "providers: {p: {dialect: simulator, timeouts: {connect: 0}}}",
        "models: {m: {targets: []}}",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(text: str) -> None:
    """An editor underlines the mistake before anything is run."""
    assert faults(HEAD + text, env={}) != []
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(yaml.safe_load(HEAD + text))


def properties(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key of the schema with what is said of it."""
    if isinstance(schema, dict):
        for name, member in schema.get("properties", {}).items():
            yield f"{path}.{name}", member
        for name, member in schema.items():
            yield from properties(member, f"{path}/{name}")
    elif isinstance(schema, list):
        for member in schema:
            yield from properties(member, path)


def test_every_key_is_described() -> None:
    """An editor has a sentence for each key; none was forgotten."""
    found = dict(properties(SCHEMA))
    assert len(found) > 80
    undescribed = [
        path
        for path, schema in found.items()
        if not (
            schema.get("description") or any(choice.get("description") for choice in schema.get("anyOf", []))
        )
    ]
    assert undescribed == []


def test_defaults_are_told_in_the_files_own_units() -> None:
    """Hovering over a key shows what happens without it."""
    server = SCHEMA["properties"]["server"]["properties"]
    assert (server["drain"]["default"], server["max_body"]["default"], server["port"]["default"]) == (
        "30s",
        "32MiB",
        8080,
    )
