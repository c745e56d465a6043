"""Every mistake has its own sentence, with its line and path, and all of them come at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmgw.config.read import check, load, read
from llmgw.errors import ConfigInvalid
from tests.config.support import ENV, HEAD, config_of, faults

OPENAI = "\nproviders: {p: {dialect: openai, "
SIMULATOR = "\nproviders: {p: {dialect: simulator}}"

ERRORS = [
    # The document.
    ("", 1, "", "is empty; begin with version: 1."),
    ("# nothing but a comment", 1, "", "is empty"),
    ("- a", 1, "", "must be a mapping"),
    ("just text", 1, "", "must be a mapping"),
    ("version: 1\n---\nversion: 1", 2, "", "a second document begins here"),
    ("version: 1\nserver: {port: 80", 2, "", "is not valid YAML here"),
    ("version: 1\nserver:\n\tport: 80", 3, "", "indent with spaces"),
    ("version: 1\nserver: *nowhere", 2, "", "undefined alias"),
    ('version: 1\nserver: {host: "\\U00110000"}', 2, "", "out of range"),
    ("version: 1\nserver: {host: a\x00b}", 2, "", "U+0000"),
    ("version: 1\nserver: " + "[" * 40, 2, "", "nested more than 32 levels deep"),
    # Keys.
    ("server: {}", 1, "version", "is missing"),
    ("version: 2", 1, "version", "must be 1, not '2'"),
    (HEAD + "servr: {}", 2, "servr", "is not a setting; did you mean 'server'?"),
    (HEAD + "server:\n  prt: 1", 3, "server.prt", "is not a setting; did you mean 'port'?"),
    (HEAD + "flags: {f: {zzz: 1}}", 2, "flags.f.zzz", "is not a setting; known are: default"),
    (HEAD + "server: {}\nstore: {}\nserver: {}", 4, "server", "is there already, in line 2"),
    (HEAD + "server: {<<: {port: 1}}", 2, "server", "merge keys"),
    (HEAD + "server: {[1]: 2}", 2, "server", "a key must be a plain name"),
    (HEAD + "models: {? : {}}", 2, "models", "a key must have 1 to 256 printable characters"),
    (HEAD + "models: {'${NAME}': {}}", 2, "models", "a key takes no variables"),
    (HEAD + "server: !!python/object:os.system {}", 2, "server", "has a tag"),
    (HEAD + "server: {host: !secret x}", 2, "server.host", "has a tag"),
    # Types.
    (HEAD + "server: [1]", 2, "server", "must be a mapping (name: value), not a list"),
    (HEAD + "server:\n  port: many", 3, "server.port", "must be a whole number from 0 to 65535, not 'many'."),
    (HEAD + "server: {port: 65536}", 2, "server.port", "from 0 to 65535"),
    (HEAD + "server: {port: }", 2, "server.port", "is empty; it must be a whole number"),
    (HEAD + "server: {port: [1]}", 2, "server.port", "not a list"),
    (HEAD + "server: {port: 0o10}", 2, "server.port", "whole number"),
    (HEAD + "server: {port: 010}", 2, "server.port", "without leading zeros"),
    (HEAD + "server: {port: 1_000}", 2, "server.port", "whole number"),
    (HEAD + "server: {port: 80.0}", 2, "server.port", "whole number"),
    (HEAD + "server: {host: ''}", 2, "server.host", "is empty; it must be text."),
    (HEAD + 'server: {host: "a\\eb"}', 2, "server.host", "control character"),
    (HEAD + 'server: {host: "a\\ud800"}', 2, "server.host", "control character"),
    (HEAD + f"server: {{host: {'x' * 20_000}}}", 2, "server.host", "is longer than 16 KiB"),
    (HEAD + "server: {drain: 30}", 2, "server.drain", "Add a unit"),
    (HEAD + "server: {drain: 1:30}", 2, "server.drain", "a duration with a unit, such as 500ms"),
    (HEAD + "server: {drain: 400d}", 2, "server.drain", "from 0 to 365d"),
    (HEAD + "server: {max_body: 10XB}", 2, "server.max_body", "a size, such as 64KiB"),
    (HEAD + "server: {max_body: 0}", 2, "server.max_body", "a size"),
    (HEAD + "models_only: yes", 2, "models_only", "must be true or false, not 'yes'."),
    (HEAD + "models_only: on", 2, "models_only", "must be true or false"),
    (HEAD + "models_only: True", 2, "models_only", "must be true or false"),
    (HEAD + "telemetry: {sample: .nan}", 2, "telemetry.sample", "a number from 0 to 1"),
    (HEAD + "telemetry: {sample: 1.5}", 2, "telemetry.sample", "a number from 0 to 1"),
    (HEAD + "providers: {p: {dialect: simulator, simulator: {tokens_per_second: 1e999}}}", 2, "providers.p.simulator.tokens_per_second", "a number of at least 0"),
    (HEAD + "routes: {}", 2, "routes", "must be a list"),
    (HEAD + "admin: {port: sme}", 2, "admin.port", "a whole number from 0 to 65535 or same"),
    # Variables.
    (HEAD + "server: {port: '${UNSET}'}", 2, "server.port", "UNSET, which is not set; set it, or write ${UNSET:-"),
    (HEAD + "admin: {port: '${UNSET}'}", 2, "admin.port", "environment variable UNSET"),
    (HEAD + OPENAI + "api_key: '${UNSET}'}}", 3, "providers.p.api_key", "llmgw credentials set"),
    (HEAD + "server: {host: '${UNSET'}", 2, "server.host", "neither ${NAME} nor"),
    (HEAD + "server: {host: '${A:-${B}}'}", 2, "server.host", "neither ${NAME} nor"),
    (HEAD + "server: {port: '${OPENAI_API_KEY}'}", 2, "server.port", "the variables in it do not make"),
    # Server, store, keys.
    (HEAD + "server: {host: '0.0.0.0:80'}", 2, "server.host", "the port has a setting of its own"),
    (HEAD + "server: {workers: 2}", 2, "server.workers", "limits would multiply by workers"),
    (HEAD + "store: {url: 'postgresql://x', redis_url: 'redis://x'}", 2, "store.url", "names no database"),
    (HEAD + "store: {url: 'postgresql://x y/z', redis_url: 'redis://x'}", 2, "store.url", "percent-encode"),
    (HEAD + "store: {url: 'postgresql://x/y', redis_url: 'http://x'}", 2, "store.redis_url", "such as redis://"),
    (HEAD + "store: {url: 'postgresql://x/y', redis_url: 'redis+sentinel://a,b'}", 2, "store.redis_url", "names no service"),
    (HEAD + "store: {url: 'postgresql://x/y', redis_url: 'redis+cluster://a/1'}", 2, "store.redis_url", "has none to choose"),
    (HEAD + "store: {redis_timeout: 1s}", 2, "store.redis_timeout", "goes with Postgres and Redis"),
    (HEAD + "store: {url: 'postgresql://x/y'}", 2, "store.redis_url", "is missing"),
    (HEAD + "store: {url: 'mysql://x'}", 2, "store.url", "must be sqlite:///PATH"),
    (HEAD + "store: {url: 'sqlite:///:memory:'}", 2, "store.url", "must be a file"),
    (HEAD + "store: {redis_url: 'redis://x'}", 2, "store.redis_url", "goes with Postgres"),
    (HEAD + "kms: {provider: aws}", 2, "kms.provider", "aws is not available in this version"),
    (HEAD + "kms: {region: x}", 2, "kms.region", "belongs to provider: aws"),
    (HEAD + "kms: {provider: aws, keyring: x}", 2, "kms.keyring", "belongs to provider: local"),
    (HEAD + "kms: {provider: vault, region: x}", 2, "kms.region", "belongs to provider: aws"),
    (HEAD + "admin: {host: 127.0.0.1, port: 8080}", 2, "admin.port", "is the data plane's own"),
    (HEAD + "admin: {host: '::', port: 8080}", 2, "admin.port", "is the data plane's own"),
    # Providers.
    (HEAD + "providers: {p: {dialect: opnai}}", 2, "providers.p.dialect", "must be anthropic or bedrock or gemini or openai"),
    (HEAD + "providers:\n  p:\n    timeouts: {}", 3, "providers.p.dialect", "is missing"),
    (HEAD + "providers:\n  a/b:\n    dialect: openai", 3, "providers.a/b", "a provider's name has"),
    (HEAD + "providers: {a b: {dialect: openai}}", 2, "providers.a b", "a provider's name has"),
    (HEAD + OPENAI + "simulator: {}}}", 3, "providers.p.simulator", "goes with dialect: simulator"),
    (HEAD + OPENAI + "api_key: '${OPENAI_API_KEY}', credential: c}}", 3, "providers.p.credential", "exclude each other"),
    (HEAD + OPENAI + "api_key: ''}}", 3, "providers.p.api_key", "is no secret that a header can carry"),
    (HEAD + OPENAI + "timeouts: {connect: 0}}}", 3, "providers.p.timeouts.connect", "above zero"),
    (HEAD + OPENAI + "proxy: 'http://x'}}", 3, "providers.p.proxy", "needs transport: httpx"),
    (HEAD + OPENAI + "transport: httpx, proxy: 'x:80'}}", 3, "providers.p.proxy", "must be a URL such as http://host"),
    (HEAD + "providers: {p: {dialect: simulator, base_url: 'https://x'}}", 2, "providers.p.base_url", "for the simulator"),
    (HEAD + "providers: {p: {dialect: simulator, credential: x}}", 2, "providers.p.credential", "for the simulator"),
    (HEAD + OPENAI + "base_url: 'ftp://x'}}", 3, "providers.p.base_url", "must be a URL such as https://host"),
    (HEAD + OPENAI + "base_url: api.openai.com/v1}}", 3, "providers.p.base_url", "must be a URL such as https://host"),
    (HEAD + OPENAI + "base_url: 'https://x:port/v1'}}", 3, "providers.p.base_url", "is not a valid URL"),
    (HEAD + OPENAI + "base_url: 'https://[::1/v1'}}", 3, "providers.p.base_url", "is not a valid URL"),
    (HEAD + OPENAI + "base_url: 'https://x y/v1'}}", 3, "providers.p.base_url", "has a space"),
    (HEAD + OPENAI + 'base_url: "https://x/\\nv1"}}', 3, "providers.p.base_url", "has a space"),
    (HEAD + OPENAI + "base_url: 'https://u:p@x/v1'}}", 3, "providers.p.base_url", "user name or password"),
    (HEAD + OPENAI + "base_url: 'https://x/v1?a=b'}}", 3, "providers.p.base_url", "a query or a fragment"),
    (HEAD + OPENAI + "base_url: 'https://x/v1#'}}", 3, "providers.p.base_url", "a query or a fragment"),
    # Models, routes.
    (HEAD + "models: {m: {targets: []}}", 2, "models.m.targets", "must not be empty"),
    (HEAD + "models: {m: {targets: [m]}}", 2, "models.m.targets[0]", "leads back to 'm': m -> m."),
    (
        HEAD + "models: {a: {targets: [b]}, b: {targets: [p/x, c]}, c: {targets: [b]}}" + SIMULATOR,
        2,
        "models.c.targets[0]",
        "leads back to 'b': b -> c -> b.",
    ),
    (HEAD + "models: {m: {targets: [gpt]}}", 2, "models.m.targets[0]", "must be provider/model"),
    (HEAD + "models: {m: {targets: [{use: gpt}]}}", 2, "models.m.targets[0].use", "must be provider/model"),
    (HEAD + "models: {m: {targets: [[a]]}}", 2, "models.m.targets[0]", "not a list"),
    (HEAD + "models: {a b: {targets: [p/x]}}" + SIMULATOR, 2, "models.a b", "has no spaces"),
    (HEAD + "models: {m: {targets: [q/x]}}" + SIMULATOR, 2, "models.m.targets[0]", "does not exist; known are: p."),
    (HEAD + "models: {m: {targets: [opn/x]}}\nproviders: {open: {dialect: simulator}}", 2, "models.m.targets[0]", "did you mean 'open'?"),
    (HEAD + "models: {m: {strategy: weighted, targets: [{use: p/x, weight: 0}]}}" + SIMULATOR, 2, "models.m.targets", "weighted needs one"),
    (HEAD + "routes: [{name: r, to: p/x}, {name: r, to: p/x}]" + SIMULATOR, 2, "routes[1].name", "is the name of an earlier one"),
    (HEAD + "policies: [{name: r, deny: x}, {name: r, deny: x}]", 2, "policies[1].name", "is the name of an earlier one"),
    (HEAD + "models: {cheap: {targets: [p/x]}}\nroutes: [{name: r, to: chaep}]" + SIMULATOR, 3, "routes[0].to", "did you mean 'cheap'?"),
    (HEAD + "routes: [{name: r, to: p/x, flag: f}]" + SIMULATOR, 2, "routes[0].flag", "there is none"),
]  # fmt: skip

PRIVATE = (
    "http://127.0.0.1:11434/v1", "http://localhost/v1", "http://127.1/v1", "http://0x7f000001/v1", "http://10.1.2.3/",
    "https://[::1]/v1", "https://[::ffff:127.0.0.1]/v1", "https://169.254.169.254/", "https://192.168.0.1/",
    "https://metadata.google.internal/", "https://168.63.129.16/", "https://LOCALHOST./", "https://0.0.0.0/",
)  # fmt: skip

WARNINGS = [
    (HEAD + OPENAI + "api_key: sk-literal}}", 3, "providers.p.api_key", "stands in the file"),
    (HEAD + OPENAI + "api_key: '${UNSET:-sk-literal}'}}", 3, "providers.p.api_key", "stands in the file"),
    (HEAD + "providers:\n  p:\n    dialect: openai", 3, "providers.p", "has no secret"),
    (HEAD + OPENAI + "base_url: 'https://api.openai.com/v1'}}", 3, "providers.p", "has no secret"),
    (HEAD + OPENAI + "credential: c, base_url: 'https://api.openai.com'}}", 3, "providers.p.base_url", "should end with /v1"),
    (HEAD + "providers: {p: {dialect: anthropic, credential: c, base_url: 'https://api.anthropic.com/v1'}}", 2, "providers.p.base_url", "should end before /v1"),
    (HEAD + OPENAI + "base_url: 'http://8.8.8.8/v1'}}", 3, "providers.p.base_url", "in clear text"),
    (HEAD + OPENAI + "base_url: 'http://llm.example/v1'}}", 3, "providers.p.base_url", "in clear text"),
    (HEAD + OPENAI + "credential: c, transport: httpx, proxy: 'http://u:hunter2@x'}}", 3, "providers.p.proxy", "has a password in the file"),
]  # fmt: skip

SILENT = [
    "base_url: 'http://127.0.0.1:11434/v1', allow_private: true",
    "base_url: 'http://ollama:11434/v1', allow_private: true",
    "base_url: 'https://llm.example/v1'",
    "credential: c, transport: httpx, proxy: 'http://u:${OPENAI_API_KEY}@x'",
    "credential: c, base_url: 'https://api.openai.com/v1/'",
]


def check_one(text: str, severity: str, line: int, path: str, message: str) -> None:
    found = faults(text, severity)
    assert any((fault.line, fault.path) == (line, path) and message in fault.message for fault in found), (
        found
    )


@pytest.mark.parametrize(("text", "line", "path", "message"), ERRORS)
def test_each_error_is_named(text: str, line: int, path: str, message: str) -> None:
    """Every kind of mistake has its own sentence, at its line and path, and gives no configuration."""
    check_one(text, "error", line, path, message)
    assert read(text, ENV).config is None


@pytest.mark.parametrize(("text", "line", "path", "message"), WARNINGS)
def test_each_warning_is_named(text: str, line: int, path: str, message: str) -> None:
    """What works and is unwise is said at its line and path, and the file can be used."""
    check_one(text, "warning", line, path, message)
    assert read(text, ENV).config is not None


@pytest.mark.parametrize("url", PRIVATE)
def test_private_addresses_need_a_word(url: str) -> None:
    """In whatever spelling: an error that names allow_private, and none with it."""
    text = HEAD + OPENAI + f"base_url: '{url}'}}}}"
    check_one(text, "error", 3, "providers.p.base_url", "add allow_private: true")
    assert faults(text.replace("}}", ", allow_private: true}}")) == []


@pytest.mark.parametrize("settings", SILENT)
def test_what_is_in_order_is_not_talked_about(settings: str) -> None:
    """A local model, a name in a private network, another host, a proxy's password from the environment."""
    assert read(HEAD + OPENAI + settings + "}}", ENV).faults == ()


def test_all_faults_come_at_once_in_the_order_of_the_file() -> None:
    """Wrong types hide neither the checks that follow nor each other; one slip is one message."""
    text = """\
version: 1
server:
  port: many
  drain: 5
models:
  smart:
    targets: [opnai/gpt-4o, local/x, {use: openai/gpt-4o, weigth: 2}]
providers:
  openai:
    dialect: openai
    api_key: ${OPENAI_API_KEY}
    timeouts: {conect: 1s}
    base_url: http://127.0.0.1/v1
  local: {dialect: opnai, base_url: "http://127.0.0.1/v1", allow_private: yes}
nope: 1
"""
    assert [(fault.line, fault.path) for fault in faults(text)] == [
        (3, "server.port"),
        (4, "server.drain"),
        (7, "models.smart.targets[0]"),
        (7, "models.smart.targets[2].weigth"),
        (12, "providers.openai.timeouts.conect"),
        (13, "providers.openai.base_url"),
        (14, "providers.local.dialect"),
        (14, "providers.local.allow_private"),
        (15, "nope"),
    ]


def test_a_section_that_is_none_makes_no_names_unknown() -> None:
    """Where the providers cannot be read, nothing is said of the targets."""
    text = HEAD + "providers: [openai]\nmodels: {m: {targets: [openai/gpt-4o]}}"
    assert [fault.path for fault in faults(text)] == ["providers"]


def test_columns_count_from_one() -> None:
    """A fault stands under its value."""
    [fault] = faults(HEAD + "server: {port: many}")
    assert (fault.line, fault.column) == (2, 16)


def test_names_with_dots_are_not_mixed_up() -> None:
    """A provider called `p.dialect` is not the dialect of `p`."""
    found = faults(HEAD + "providers: {p.dialect: {dialect: simulator}, p: {}}")
    assert [fault.message for fault in found] == ["is missing; it has no default."]


def test_on_and_off_are_names_like_any_other() -> None:
    """YAML 1.1 reads `on` as true; here models, tags and hosts may be called so."""
    text = (
        HEAD
        + "server: {host: off}\nmodels: {on: {targets: [p/no]}, 1: {targets: [p/2]}, ~: {targets: [p/y]}}"
        + SIMULATOR
    )
    config = config_of(text)
    assert set(config.models) == {"on", "1", "~"}
    assert (config.server.host, config.models["on"].targets) == ("off", ("p/no",))


def test_empty_sections_are_as_if_left_out() -> None:
    """Commenting out every line below a name leaves a valid file."""
    text = HEAD + "server:\nproviders:\nmodels: ~\nroutes:\nstore: {redis_url: null}"
    assert config_of(text) == config_of(HEAD)


def test_aliases_give_the_value_again() -> None:
    """What several providers share is written once."""
    text = (
        HEAD
        + "providers:\n  a: {dialect: simulator, timeouts: &t {total: 5m}}\n  b: {dialect: simulator, timeouts: *t}"
    )
    assert config_of(text).providers["b"].timeouts.total_s == 300


def test_environment_variables_fill_values_and_never_make_structure() -> None:
    """A value with braces, colons, line breaks or dollars stays one value; `$$` is a dollar."""
    env = {"PORT": "9000", "URL": "sqlite:///a: {b}\n- ${PORT}", "EMPTY": "", "DRAIN": "5s", "YES": "true"}
    text = (
        "version: 1\nmodels_only: ${YES}\n"
        "server: {port: '${PORT}', host: '${EMPTY:-0.0.0.0}', drain: '${DRAIN}', max_body: '${SIZE:-1}KiB'}\n"
        "store: {url: '${URL}$$1$$$${PORT}$'}\n"
    )
    config = config_of(text, env)
    assert (config.server.port, config.server.host, config.models_only) == (9000, "0.0.0.0", True)
    assert (config.server.drain_s, config.server.max_body_bytes) == (5, 1024)
    assert config.store.url == "sqlite:///a: {b}\n- ${PORT}$1$${PORT}$"


def test_a_variable_cannot_make_null() -> None:
    """An empty variable is empty text, not a setting that was left out."""
    check_one(HEAD + OPENAI + "proxy: '${EMPTY:-}'}}", "error", 3, "providers.p.proxy", "is empty")


def test_the_default_port_of_a_later_listener_is_free() -> None:
    """The control plane's default port is not in the way until somebody writes it down."""
    assert config_of(HEAD + "server: {port: 8081}").server.port == 8081


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "There is no configuration"),
        (b"\xff\xfev\x00", "is not UTF-8 text"),
        (b"\x7fELF\x00\x00", "U+007F"),
        (b"version: 1\n" * 200_000, "is larger than 1024 KiB"),
        (b"", "is empty"),
    ],
)
def test_a_file_that_is_none_is_one_sentence(content: bytes | None, message: str, tmp_path: Path) -> None:
    """Missing, binary, enormous and empty files are refused with what to do."""
    path = tmp_path / "llmgw.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigInvalid, match=r"llmgw\.yaml") as refused:
        load(path, {})
    assert message in str(refused.value)


def test_a_folder_and_a_locked_file_are_refused(tmp_path: Path) -> None:
    """What cannot be opened says why."""
    with pytest.raises(ConfigInvalid, match="directory"):
        load(tmp_path, {})
    locked = tmp_path / "llmgw.yaml"
    locked.write_text(HEAD)
    locked.chmod(0)
    if os.access(locked, os.R_OK):
        pytest.skip("this user may read every file")
    with pytest.raises(ConfigInvalid, match="Permission"):
        load(locked, {})


def test_load_lists_every_error_and_gives_warnings(tmp_path: Path) -> None:
    """`file:line: path: message`, one a line, without the warnings; a byte order mark is no matter."""
    path = tmp_path / "llmgw.yaml"
    path.write_text("\ufeffversion: 1\nservr: 1\nflags: {}\nserver: {port: x}\n", encoding="utf-8")
    with pytest.raises(ConfigInvalid) as refused:
        load(path, {})
    lines = str(refused.value).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [[f"{path}:2", "servr"], [f"{path}:4", "server.port"]]
    assert len(check(path, {})) == 2
    path.write_text(HEAD + "flags: {}\nadmin: {}\n")
    config, warnings = load(path, {})
    assert config.flags == {}
    assert [warning.path for warning in warnings] == ["admin"]


def test_a_model_may_have_the_name_of_a_target() -> None:
    """To give `provider/model` settings of its own: what begins with a provider's name is that provider's."""
    text = (
        "models: {p/x: {targets: [p/x], retries: {attempts: 5}}, q/x: {targets: [p/x]}, m: {targets: [q/x]}}"
    )
    assert config_of(HEAD + text + SIMULATOR).models["p/x"].retries.attempts == 5
