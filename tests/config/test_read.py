"""The configuration file: every fault at once, each with its line and what to do; no text makes it raise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from llmgw.config import units
from llmgw.config.checks import NOT_YET
from llmgw.config.read import Reading, load, read
from llmgw.config.schema import Config
from llmgw.config.show import dump, json_schema
from llmgw.errors import ConfigInvalid

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = (ROOT / "config.example.yaml").read_text()
CONTRACT = ROOT.parent / "shared" / "CONTRACT.md"
ENV = {"OPENAI_API_KEY": "sk-a", "ANTHROPIC_API_KEY": "sk-b"}
HEAD = "version: 1\n"


def errors(text: str, env: dict[str, str] | None = None) -> list[str]:
    return [str(fault) for fault in read(text, env or ENV).faults if fault.severity == "error"]


def config_of(reading: Reading) -> Config:
    assert reading.config is not None, reading.faults
    return reading.config


def test_the_example_is_valid_without_a_warning() -> None:
    """What a team starts from has nothing to complain about."""
    reading = read(EXAMPLE, ENV)
    assert reading.faults == ()
    assert config_of(reading).providers["anthropic"].timeouts.first_token_s == 60


def test_the_example_fits_the_schema_that_editors_use() -> None:
    """The JSON Schema and the reader agree on the example, and on a mistake."""
    jsonschema.validate(yaml.safe_load(EXAMPLE), json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"version": 1, "servr": {}}, json_schema())


@pytest.mark.skipif(not CONTRACT.exists(), reason="the contract is not beside this checkout")
def test_the_contracts_own_configuration_has_warnings_only() -> None:
    """Every key that users are promised is known, those of later versions with a warning."""
    block = CONTRACT.read_text().split("```yaml\n")[1].split("```")[0]
    text = block.replace("\nmodels: ", "\nmodels:\n  cheap: {targets: [openai/gpt-4o-mini]}\n# ")
    reading = read(text, ENV)
    assert [fault for fault in reading.faults if fault.severity == "error"] == []
    assert {"routes", "limits", "policies"} <= {fault.path for fault in reading.faults}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1: must be a mapping that begins with version: 1."),
        ("- a", "1: must be a mapping"),
        ("version: 2", "1: version: must be 1"),
        ("server: {}", "1: version: is missing."),
        ("version: 1\n---\nversion: 1", "is not YAML"),
        ("version: 1\nserver: {port: 80", "is not YAML"),
        (HEAD + "servr: {}", "2: servr: is not a setting; did you mean 'server'?"),
        (HEAD + "server: {prt: 1}", "2: server.prt: is not a setting; did you mean 'port'?"),
        (HEAD + "server:\n  port: many", "3: server.port: must be a whole number from 0 to 65535, not 'many'."),
        (HEAD + "server: {port: 010}\nserver: {}", "3: server: is there already, in line 2."),
        (HEAD + "server: {drain: 30}", "a duration with a unit, such as 500ms"),
        (HEAD + "server: {drain: 1:30}", "a duration with a unit"),
        (HEAD + "server: {max_body: 10XB}", "a size, such as 64KiB"),
        (HEAD + "server: [1]", "must be a mapping of names to values, not a list"),
        (HEAD + "server:", "is empty"),
        (HEAD + "models_only: yes", "2: models_only: must be true or false, not 'yes'."),
        (HEAD + "models_only: on", "must be true or false"),
        (HEAD + "providers: {p: {dialect: !!python/object:os.system x}}", "must be"),
        (HEAD + "providers: {p: {dialect: opnai}}", "must be"),
        (HEAD + "providers: {p: {dialect: openai, api_key: '${UNSET}'}}", "environment variable UNSET"),
        (HEAD + "providers: {a/b: {dialect: openai}}", "provider's name"),
        (HEAD + "providers: {p: {dialect: openai, base_url: 'http://127.0.0.1/v1'}}", "allow_private: true"),
        (HEAD + "providers: {p: {dialect: openai, base_url: 'http://169.254.169.254/'}}", "allow_private: true"),
        (HEAD + "providers: {p: {dialect: openai, base_url: 'ftp://x'}}", "http:// or https://"),
        (HEAD + "providers: {p: {dialect: openai, base_url: 'https://u:p@x/v1'}}", "user name"),
        (HEAD + "providers: {p: {dialect: openai, base_url: 'https://x:port/v1'}}", "http:// or https://"),
        (HEAD + "providers: {p: {dialect: simulator, base_url: 'https://x'}}", "no meaning for the simulator"),
        (HEAD + "providers: {p: {dialect: openai, simulator: {}}}", "goes with dialect: simulator"),
        (HEAD + "providers: {p: {dialect: openai, proxy: 'http://x'}}", "needs transport: httpx"),
        (HEAD + "providers: {p: {dialect: openai, api_key: '${OPENAI_API_KEY}', credential: c}}", "exclude each other"),
        (HEAD + "providers: {open: {dialect: openai}}\nmodels: {m: {targets: [opn/x]}}", "did you mean 'open'?"),
        (HEAD + "models: {m: {targets: []}}", "must not be empty"),
        (HEAD + "models: {m: {targets: [gpt]}}", "must be provider/model"),
        (HEAD + "store: {url: 'postgresql://x/y'}", "Postgres is not available"),
        (HEAD + "store: {url: 'mysql://x'}", "must be sqlite:///PATH"),
        (HEAD + "store: {redis_url: 'redis://x'}", "goes with Postgres"),
        (HEAD + "server: {workers: 2}", "server.workers: must be 1"),
        (HEAD + "kms: {provider: aws, key_id: x}", "only local is available"),
        (HEAD + "a: &a [*a]", "is not a setting"),
        (HEAD + "server: {<<: {port: 1}}", "merge keys"),
        (HEAD + "admin: {host: 127.0.0.1, port: 8080}", "data plane's own"),
    ],
)  # fmt: skip
def test_each_fault_is_named(text: str, expected: str) -> None:
    """Every kind of mistake has its own sentence, with the line and the path."""
    found = errors(text)
    assert any(expected in error for error in found), found


def test_all_faults_come_at_once_in_the_order_of_the_file() -> None:
    """Nobody has to run it ten times to mend ten lines."""
    text = HEAD + "server: {port: x, drain: 5}\nproviders: {p: {dialect: q}}\nnope: 1\n"
    assert [error.split(":")[0] for error in errors(text)] == ["2", "2", "3", "4"]


def test_on_and_off_are_names_like_any_other() -> None:
    """YAML 1.1 reads `on` as true; here a model may be called so."""
    text = (
        HEAD + "providers: {p: {dialect: simulator}}\nmodels: {on: {targets: [p/no]}, 1: {targets: [p/2]}}\n"
    )
    assert set(config_of(read(text, {})).models) == {"on", "1"}


def test_environment_variables_fill_values_and_never_make_structure() -> None:
    """A value with braces, colons or line breaks stays one value; `$$` is a dollar."""
    env = {"PORT": "9000", "URL": "sqlite:///a: {b}\n- c", "EMPTY": ""}
    text = HEAD + "server: {port: '${PORT}', host: '${EMPTY:-0.0.0.0}'}\nstore: {url: '${URL}$$1'}\n"
    config = config_of(read(text, env))
    assert (config.server.port, config.server.host) == (9000, "0.0.0.0")
    assert config.store.url == "sqlite:///a: {b}\n- c$1"


def test_a_literal_secret_is_a_warning_and_never_shown() -> None:
    """Nothing that is printed of a configuration holds a secret."""
    text = (
        HEAD
        + "providers: {p: {dialect: openai, api_key: sk-c4nary-1234}, q: {dialect: openai, api_key: 'sk c4nary'}}"
    )
    reading = read(text, {})
    assert any("stands in the file" in fault.message for fault in reading.faults)
    good = read(text.split(", q:")[0] + "}", {})
    shown = f"{reading.faults} {good.faults} {good.config} {dump(config_of(good))}"
    assert "c4nary" not in shown


def test_what_is_read_and_not_acted_on_is_said() -> None:
    """Each section of a later version is a warning at its line."""
    text = HEAD + "limits: {default_key: {rpm: 5}}\nflags: {f: {default: false}}\n"
    warned = {fault.path for fault in read(text, {}).faults if fault.severity == "warning"}
    assert warned == {"limits", "flags"} <= set(NOT_YET)


def test_show_writes_what_reads_the_same() -> None:
    """The effective configuration, read again, is the same (but for secrets)."""
    env = {**ENV, "OPENAI_API_KEY": "[redacted]", "ANTHROPIC_API_KEY": "[redacted]"}
    config = config_of(read(EXAMPLE, env))
    again = config_of(read(yaml.safe_dump(dump(config)), {}))
    assert again == config


@given(st.text(max_size=300))
def test_no_text_makes_it_raise(text: str) -> None:
    """Property: any text is read or refused."""
    reading = read(text, {})
    assert reading.config is not None or reading.faults


@given(st.data())
def test_no_mutation_of_the_example_makes_it_raise(data: st.DataObject) -> None:
    """Property: nor does a slip of the finger in a good file."""
    at = data.draw(st.integers(0, len(EXAMPLE)))
    cut = data.draw(st.integers(0, 40))
    text = EXAMPLE[:at] + data.draw(st.text(max_size=8)) + EXAMPLE[at + cut :]
    read(text, ENV)


def test_expansion_bombs_are_bounded() -> None:
    """Aliases that multiply are refused before they fill the memory."""
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{n}: &a{n} {{" + ", ".join(f"k{i}: *a{n - 1}" for i in range(9)) + "}" for n in range(1, 12)]
    text = HEAD + "models:\n  " + "\n  ".join(lines)
    assert errors(text)


@given(st.integers(0, 10**9))
def test_durations_and_sizes_survive_a_round_trip(number: int) -> None:
    """Property: what is shown reads as the same value."""
    assert units.size(units.size_text(number)) == number
    assert units.seconds(units.duration_text(float(number))) == number
    assert units.seconds(units.duration_text(number / 1000)) == pytest.approx(number / 1000)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", b"version: 1\n" * 500_000])
def test_a_file_that_is_none_is_one_sentence(content: bytes | None, tmp_path: Path) -> None:
    """Missing, binary and enormous files are refused with what to do."""
    path = tmp_path / "llmgw.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigInvalid, match=r"llmgw\.yaml"):
        load(path, {})
    with pytest.raises(ConfigInvalid, match="directory"):
        load(tmp_path, {})


def test_every_key_is_described() -> None:
    """An editor has something to show for each section."""
    schema: dict[str, Any] = json_schema()
    for name, section in schema["properties"].items():
        if section.get("type") == "object" and "properties" in section:
            assert section.get("description"), name
