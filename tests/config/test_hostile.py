"""No text makes reading raise, or take long, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmgw.config.document import SIZE_LIMIT
from llmgw.config.faults import ERROR_LIMIT
from llmgw.config.read import read
from tests.config.support import ENV, EXAMPLE, HEAD, faults

TOKENS = (
    "version: 1\n", "providers:", "models:", "server:", "{", "}", "[", "]", ": ", ", ", "- ", "? ", "\n", "\n  ", "&a ", "*a",
    "!!int ", "!x ", "!", "|", ">", "'", '"', "#", "<<: ", "---", "...", "%YAML 1.1\n", "%TAG ! x\n", "~", "null", "1", "10s",
    "${A}", "${A:-b}", "$$", "${", "\\x", '"\\Uffffffff"', "\t", "\u2028", "\ufeff", "dialect: simulator", "targets:", "p/x",
)  # fmt: skip


@settings(deadline=None)
@given(st.text(max_size=300))
@example('"\\U00110000"')
@example("%YAML 1." + "9" * 5000 + "\n--- a")
@example("!<tag:%ff> x")
@example("a: &a [*a]")
@example("&a {? *a : *a}")
@example("? {[]: {}}\n: x")
@example("version: 1\nmodels: &m {m: *m}")
def test_no_text_makes_it_raise(text: str) -> None:
    """Property: any text is read, or refused with a fault."""
    reading = read(text, {})
    assert reading.config is not None or reading.faults


@settings(deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=40), st.dictionaries(st.just("A"), st.text(max_size=5)))
def test_no_grammar_makes_it_raise(tokens: list[str], env: dict[str, str]) -> None:
    """Property: nor do YAML's own tokens in any order."""
    reading = read(HEAD + "".join(tokens), env)
    assert reading.config is not None or reading.faults


@settings(deadline=None)
@given(st.data())
def test_no_mutation_of_the_example_makes_it_raise(data: st.DataObject) -> None:
    """Property: nor does a slip of the finger in a good file."""
    at = data.draw(st.integers(0, len(EXAMPLE)))
    cut = data.draw(st.integers(0, 40))
    slip = data.draw(st.text(max_size=8) | st.sampled_from(TOKENS))
    reading = read(EXAMPLE[:at] + slip + EXAMPLE[at + cut :], ENV)
    assert (reading.config is None) == any(fault.severity == "error" for fault in reading.faults)


def bomb() -> str:
    """Eleven levels of nine aliases: 9^11 nodes when written out."""
    lines = ["a0: &a0 {targets: [p/x]}"]
    lines += [f"a{n}: &a{n} {{" + ", ".join(f"k{i}: *a{n - 1}" for i in range(9)) + "}" for n in range(1, 12)]
    return "models:\n  " + "\n  ".join(lines)


def wide_bomb() -> str:
    """A list that is valid where it stands, given again to every model."""
    targets = "[" + ", ".join(["p/x"] * 2000) + "]"
    models = "\n  ".join(f"m{n}: {{targets: *t}}" for n in range(2000))
    return f"providers: {{p: {{dialect: simulator}}}}\nmodels:\n  m: {{targets: &t {targets}}}\n  {models}"


@pytest.mark.parametrize("text", [bomb, wide_bomb])
def test_expansion_bombs_are_bounded(text: Callable[[], str]) -> None:
    """Aliases that multiply are refused before they fill the memory."""
    found = faults(HEAD + text())
    assert 0 < len(found) <= ERROR_LIMIT
    if text is wide_bomb:
        assert "its aliases multiply" in found[-1].message


def deep() -> str:
    return "a: " + "[" * 100_000


def deep_blocks() -> str:
    return "\n".join(" " * n + "a:" for n in range(1000))


def unknown_keys() -> str:
    return "\n".join(f"servr{n}: 1" for n in range(20_000))


def unknown_providers() -> str:
    providers = "\n  ".join(f"provider{n}: {{dialect: simulator}}" for n in range(3000))
    models = "\n  ".join(f"m{n}: {{targets: [provder{n}/x]}}" for n in range(3000))
    return f"providers:\n  {providers}\nmodels:\n  {models}"


def dollars() -> str:
    return "server: {host: '" + "${A:-" * 3000 + "'}"


def long_scalar() -> str:
    return "server: {port: " + "1:" * 200_000 + "}"


def too_large() -> str:
    return "# " + "x" * SIZE_LIMIT


@pytest.mark.parametrize(
    "text", [deep, deep_blocks, unknown_keys, unknown_providers, dollars, long_scalar, too_large]
)
def test_hostile_files_are_refused_soon(text: Callable[[], str]) -> None:
    """Depth, number and length are bounded, and so are the faults; the bound on time is the test's own."""
    found = faults(HEAD + text())
    assert 0 < len(found) <= ERROR_LIMIT
    assert all(len(fault.message) < 1000 for fault in found)


def test_after_too_many_errors_it_says_so() -> None:
    """The last error that is listed tells that there may be more."""
    found = faults(HEAD + unknown_keys())
    assert len(found) == ERROR_LIMIT
    assert found[-1].message.endswith("There may be more errors than are listed here; mend these first.")


def test_many_warnings_are_no_error() -> None:
    """A long valid file stays valid, however much is said of it."""
    providers = "\n  ".join(
        f"p{n}: {{dialect: openai, api_key: written-out}}" for n in range(2 * ERROR_LIMIT)
    )
    reading = read(HEAD + f"providers:\n  {providers}", {})
    assert reading.config is not None
    assert len(reading.faults) == 2 * ERROR_LIMIT
