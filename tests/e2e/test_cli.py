"""The command line as people and scripts use it: one document, one sentence, one exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import House

ORG, KEY = "acme", "test"


@pytest.fixture(scope="module")
def made(house: House) -> House:
    """The shared installation, with a credential."""
    house.run("credentials", "set", "main", "--org", ORG, stdin="sk-cli-secret")
    return house


LISTS = [("orgs", "list"), ("keys", "list"), ("keys", "list", "--org", ORG), ("credentials", "list")]
OBJECTS = [
    ("orgs", "show", ORG), ("keys", "show", KEY, "--org", ORG), ("credentials", "verify", "main", "--org", ORG),
    ("kms", "status"), ("kms", "verify"), ("migrate", "status"), ("migrate", "up"), ("config", "show"),
    ("config", "schema"), ("config", "validate"), ("doctor", "--offline"),
]  # fmt: skip


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_a_list_is_items_and_next(command: tuple[str, ...], made: House) -> None:
    """With --json stdout is one document; without it, a table for people."""
    document = made.run(*command, "--json").json
    assert set(document) == {"items", "next"} and document["items"]
    assert "NAME" in made.run(*command).stdout


@pytest.mark.parametrize("command", OBJECTS, ids=" ".join)
def test_an_object_is_itself(command: tuple[str, ...], made: House) -> None:
    """The same for every command that prints one thing; nothing of it is a secret."""
    done = made.run(*command, "--json")
    assert isinstance(done.json, dict)
    assert made.run(*command).stdout
    assert "sk-cli-secret" not in done.stdout


def test_lists_are_paged(made: House) -> None:
    """`next` is the cursor of the page behind it; every object comes once."""
    for number in range(3):
        made.run("orgs", "create", f"paged-{number}")
    names, after = [], None
    while True:
        page = made.run("orgs", "list", "--limit", "2", *(["--after", after] if after else []), "--json").json
        names += [item["name"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert len(names) == len(set(names)) and {ORG, "paged-0", "paged-1", "paged-2"} <= set(names)


def test_a_key_takes_every_option_and_gives_it_back(made: House) -> None:
    """What `create` was told, `show` shows; `update` changes what it is told and clears what it is told to."""
    created = made.run(
        *(
            "keys",
            "create",
            "--org",
            ORG,
            "--name",
            "full",
            "--rpm",
            "10",
            "--tpm",
            "1000",
            "--max-parallel",
            "3",
        ),
        *(
            "--budget",
            "25/month",
            "--model",
            "gpt-*",
            "--model",
            "sim",
            "--expires",
            "90d",
            "--metadata",
            "team=a",
        ),
        "--json",
    )
    assert created.json["key"].startswith("sk-llmgw-")
    shown = made.run("keys", "show", "full", "--org", ORG, "--json").json
    assert "key" not in shown
    assert (shown["rpm"], shown["tpm"], shown["max_parallel"], shown["budget"]) == (10, 1000, 3, "25/month")
    assert (shown["models"], shown["metadata"]) == (["gpt-*", "sim"], {"team": "a"})
    changed = made.run(
        *(
            "keys",
            "update",
            "full",
            "--org",
            ORG,
            "--rpm",
            "20",
            "--clear",
            "tpm",
            "--clear",
            "model",
            "--json",
        )
    ).json
    assert (changed["rpm"], changed["tpm"], changed["models"], changed["budget"]) == (
        20,
        None,
        [],
        "25/month",
    )
    assert changed["id"] == shown["id"]


def test_credentials_come_from_stdin_a_variable_or_a_file_and_go(made: House) -> None:
    """Three ways in, none of them an argument; a deleted one is gone."""
    (made.folder / "secret.txt").write_text("sk-from-file\n")
    made.env["A_SECRET"] = "sk-from-env"
    made.run("credentials", "set", "env", "--org", ORG, "--from-env", "A_SECRET")
    made.run("credentials", "set", "file", "--org", ORG, "--from-file", "secret.txt")
    for name in ("env", "file"):
        assert made.run("credentials", "verify", name, "--org", ORG, "--json").json["ok"] is True
        made.run("credentials", "delete", name, "--org", ORG)
        made.run("credentials", "verify", name, "--org", ORG, expect=1)


@pytest.mark.parametrize(
    ("code", "command"),
    [
        (1, ["orgs", "show", "nobody"]),
        (1, ["orgs", "create", ORG]),
        (1, ["keys", "show", "nobody", "--org", ORG]),
        (1, ["keys", "create", "--org", "nobody", "--name", "x"]),
        (1, ["credentials", "set", "x", "--org", ORG, "--from-file", "missing.txt"]),
        (2, ["keys", "create", "--org", ORG]),
        (2, ["keys", "create", "--org", ORG, "--name", "x", "--budget", "lots"]),
        (2, ["keys", "create", "--org", ORG, "--name", "x", "--metadata", "novalue"]),
        (2, ["keys", "create", "--org", ORG, "--name", "a/b"]),
        (2, ["keys", "update", KEY, "--org", ORG]),
        (2, ["keys", "update", KEY, "--org", ORG, "--clear", "everything"]),
        (2, ["credentials", "set", "x", "--org", ORG, "--from-env", "NOT_SET"]),
        (2, ["credentials", "set", "x", "--org", ORG]),
        (2, ["nonsense"]),
        (3, ["orgs", "list", "-c", "missing.yaml"]),
        (3, ["config", "validate", "missing.yaml"]),
        (3, ["serve", "-c", "broken.yaml"]),
        (4, ["orgs", "list", "-c", "elsewhere/llmgw.yaml"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_a_failure_is_one_sentence_and_its_code(code: int, command: list[str], made: House) -> None:
    """1 failed, 2 usage, 3 configuration, 4 a dependency; never a traceback, nothing on stdout."""
    (made.folder / "broken.yaml").write_text("version: 1\nnope: 1\n")
    elsewhere = made.folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    (elsewhere / "llmgw.yaml").write_text("version: 1\n")
    done = made.run(*command, expect=code)
    assert "Traceback" not in done.stderr and done.stderr.strip()
    if code != 3:
        assert done.stdout == ""


def test_init_again_keeps_what_is_there(made: House) -> None:
    """A second run makes nothing anew, and gives no second token."""
    before = made.config.read_text()
    again = made.run("init", "--json").json
    assert (again["org"], again["token"]) == (ORG, None)
    assert made.config.read_text() == before


def test_init_beside_nothing_makes_everything(tmp_path: Path) -> None:
    """The starter configuration is valid, and the paths it prints are there with safe modes."""
    house = House(tmp_path)
    made = house.run("init", "new", "--org", "first", "--json").json
    assert made["token"].startswith("llmgw-adm-")
    assert (tmp_path / made["keyring"]).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new" / "llmgw.db").stat().st_mode & 0o777 == 0o600
    assert house.run("config", "validate", made["config"]).stdout


def test_a_lost_keyring_is_not_replaced(tmp_path: Path) -> None:
    """Where secrets are sealed under it, a new keyring would close them for ever."""
    house = House(tmp_path)
    house.run("init", "--org", ORG)
    house.run("credentials", "set", "main", "--org", ORG, stdin="sk-x")
    (tmp_path / "llmgw.keyring").unlink()
    refused = house.run("init", expect=1)
    assert "backup" in refused.stderr
    assert not (tmp_path / "llmgw.keyring").exists()


def test_help_has_an_example_for_every_command(made: House) -> None:
    """Every command shows how it is used."""
    groups: dict[str, list[str]] = {
        "": ["demo", "init", "serve", "doctor"],
        "config": ["validate", "show", "schema"],
        "orgs": ["create", "list", "show"],
        "keys": ["create", "list", "show", "update", "rotate", "revoke"],
        "credentials": ["set", "list", "verify", "delete"],
        "kms": ["status", "verify"],
        "migrate": ["up", "status"],
    }
    for group, commands in groups.items():
        for command in commands:
            words = [group, command] if group else [command]
            example = _plain(made.run(*words, "--help").stdout).partition("Example: ")[2]
            assert "llmgw " + " ".join(words) in example, words


def _plain(text: str) -> str:
    return " ".join(text.split())


def test_doctor_tells_what_is_wrong(own_house: House) -> None:
    """A provider that does not answer and a secret that does not open are faults with a reason."""
    settings: dict[str, Any] = {
        "version": 1,
        "providers": {
            "gone": {"dialect": "openai", "base_url": "http://127.0.0.1:9/v1", "allow_private": True}
        },
    }
    own_house.configure(settings)
    done = own_house.run("doctor", "--json", expect=1)
    states = {check["name"]: check["state"] for check in json.loads(done.stdout)["checks"]}
    assert states["provider gone"] == "fault"
    assert states["store"] == states["secrets"] == "ok"


def test_doctor_is_content_with_a_sound_installation(own_house: House) -> None:
    """Every check passes, the providers' included: they were asked with the configured secret."""
    assert own_house.run("doctor", "--json").json["ok"] is True
