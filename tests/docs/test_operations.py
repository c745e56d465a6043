"""docs/operations.md: its commands were run, its alerts are those of deploy/, its words are the code's."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from llmgw.server import process, supervisor
from tests.gateway import COMMAND, installed

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
RULES: list[dict[str, Any]] = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())[
    "groups"
][0]["rules"]


def section(title: str) -> str:
    return re.split(r"^## ", PAGE.partition(f"## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_every_alert_is_explained() -> None:
    """In a row of its own, and no row explains one that is not there."""
    explained = re.findall(r"^\| `(Llmgw\w+)` \|", section("Alerts"), re.MULTILINE)
    assert explained == [rule["alert"] for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alerts_go_by_metrics_that_exist(rule: dict[str, Any]) -> None:
    """Metrics and labels are those of docs/metrics.md."""
    rows = dict(
        re.findall(
            r"^\| `(llmgw_\w+)` \| \w+ \|([^|]*)\|", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE
        )
    )
    for name, labels in re.findall(r"(llmgw_\w+)(?:\{(.*?)\})?", rule["expr"]):
        family = name.removesuffix("_bucket")
        assert family in rows, name
        for label in re.findall(r"(\w+)[=!]", labels):
            assert label in rows[family], (name, label)
    used = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
    available = " ".join(rows[name] for name in re.findall(r"llmgw_\w+", rule["expr"]) if name in rows)
    assert all(label in available for label in used)


def test_readiness_is_explained_value_by_value() -> None:
    """Each status and each field that the code has."""
    code = (ROOT / "llmgw" / "server" / "health.py").read_text()
    text = section("Readiness")
    for status in re.findall(r'status = "(\w+)"', code):
        assert f"| `{status}` |" in text
    body = code.partition("return {")[2]
    for field in set(re.findall(r'^ {8}"(\w+)":', body, re.MULTILINE)) - {"status"}:
        assert f"| `{field}" in text


def test_times_are_the_codes() -> None:
    """What the page promises of crashed and stuck workers."""
    text = section("Several workers")
    assert f"pauses that grow to {supervisor.PAUSES_S[-1]:g} s" in text.replace("\n  ", " ")
    assert f"stands still for {process.SILENT_S:g} s" in text.replace("\n  ", " ")


def test_backup_and_restore_do_what_the_page_says(tmp_path: Path) -> None:
    """The two blocks, run as they stand: the backup is taken while the server runs; restored, it serves its keys and
    opens its secrets, and does not know what was made after it."""
    if shutil.which("sqlite3") is None:
        pytest.skip("there is no sqlite3 on PATH")
    backup, restore = re.findall(r"```sh\n(.*?)```", section("Backup and restore"), re.DOTALL)
    simulator = {"dialect": "simulator"}
    with installed(
        tmp_path, providers={"simulator": simulator}, models={"sim": {"targets": ["simulator/demo"]}}
    ) as house:
        house.run("credentials", "set", "main", "--org", "acme", stdin="sk-secret")
        with house.serve():
            shell(tmp_path, backup)
            later = house.run("keys", "create", "--org", "acme", "--name", "later", "--json").json["key"]
        assert (tmp_path / "backup.db").stat().st_mode & 0o077 == 0
        (tmp_path / "llmgw.keyring").unlink()
        (tmp_path / "backup.keyring").rename(tmp_path / "llmgw.keyring")
        shell(tmp_path, restore)
        with house.serve() as gateway:
            statuses = [
                httpx.post(
                    gateway.url + "/v1/chat/completions",
                    headers={"authorization": f"Bearer {key}"},
                    json={"model": "sim", "messages": [{"role": "user", "content": "hi"}]},
                    trust_env=False,
                ).status_code
                for key in (house.key, later)
            ]
        assert statuses == [200, 401]


def shell(folder: Path, script: str) -> None:
    """Run a block of the page."""
    program = str(Path(COMMAND[0]).parent)
    done = subprocess.run(
        ["sh", "-eu", "-c", f'PATH="{program}:$PATH"\n{script}'],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
