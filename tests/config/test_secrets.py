"""Nothing that is said or shown of a configuration holds a secret."""

from __future__ import annotations

import msgspec
import pytest
import yaml

from llmgw.config.read import read
from llmgw.config.show import dump
from tests.config.support import EXAMPLE, HEAD, config_of

CANARY = "sk-c4nary-0123456789-abcdef"
SHAPES = (
    CANARY, f"'{CANARY}'", f"[{CANARY}]", f"{{a: {CANARY}}}", f"!{CANARY} x", f"*{CANARY}", f"&{CANARY} [x]", f"!{CANARY}!x y",
    f"'${{{CANARY}}}'", f"'{CANARY} with space'", f"${{UNSET:-{CANARY}}}", f"'${{UNSET}}{CANARY}'", f'"{CANARY}\\ud800"',
    f"[{CANARY}", f"'{CANARY}", f"{CANARY}: x: y",
)  # fmt: skip
EVERYTHING = yaml.safe_load(
    EXAMPLE
    + """
routes: [{name: r, to: demo, flag: f, when: {model: m, org: [a], key: [k], tags: {t: v}, max_input_tokens: 1}}]
policies: [{name: p, deny: d}]
flags: {f: {default: true}}
limits: {default_key: {rpm: 1, tpm: 1, max_parallel: 1}, on_shared_loss: open}
breakers: {failures: 1, window: 1s, cooldown: 1s, half_open: 1}
governance: {mode: audit}
admin: {enabled: true, host: h, port: same}
"""
)


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place of a single value below `value`."""
    if isinstance(value, dict):
        return [place for name, member in value.items() for place in places(member, (*path, name))]
    if isinstance(value, list):
        return [place for n, member in enumerate(value) for place in places(member, (*path, n))]
    return [path]


def said(text: str, env: dict[str, str]) -> str:
    return " ".join(str(fault) for fault in read(text, env).faults)


@pytest.mark.parametrize("place", places(EVERYTHING), ids=lambda place: ".".join(map(str, place)))
def test_a_secret_at_any_place_is_in_no_fault(place: tuple[str | int, ...]) -> None:
    """Neither as it stands in the file nor out of a variable."""
    env = {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b", "GEMINI_API_KEY": "c", "LEAK": CANARY}
    for value in (CANARY, "${LEAK}", f"http://u:{CANARY}@x", f"{CANARY}/x"):
        copy = yaml.safe_load(yaml.safe_dump(EVERYTHING))
        parent = copy
        for step in place[:-1]:
            parent = parent[step]
        parent[place[-1]] = value
        assert CANARY not in said(yaml.safe_dump(copy), env)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("place", ["api_key", "proxy", "timeouts", "dialect", "credential"])
def test_a_secret_in_any_shape_is_in_no_fault(place: str, shape: str) -> None:
    """Not even where YAML itself stumbles over it."""
    text = HEAD + f"providers:\n  p:\n    base_url: https://x\n    {place}: {shape}\n"
    assert CANARY not in said(text, {})


def test_secrets_and_passwords_are_not_shown() -> None:
    """Neither by `config show` nor by `repr`; and the rest is."""
    text = HEAD + (
        f"providers: {{p: {{dialect: openai, api_key: {CANARY}, transport: httpx, proxy: 'http://u:{CANARY}@proxy:1'}}}}\n"
        f"telemetry: {{otlp_endpoint: 'http://u:{CANARY}@otel:1'}}"
    )
    config = config_of(text, {})
    assert config.providers["p"].api_key is not None
    assert config.providers["p"].api_key.reveal() == CANARY
    shown = msgspec.json.encode(dump(config)).decode()
    for output in (shown, repr(config), str(config), repr(config.providers), f"{config.telemetry}"):
        assert CANARY not in output
        assert "otel:1" in output or "proxy:1" in output
