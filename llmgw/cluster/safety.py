"""Refuses steps of the schema that would hold up a store in use, or break the release before them.

What a statement does to a table that is there already decides: how long it holds a lock that calls need (PostgreSQL
documentation, sections 13.3 and "Notes" of ALTER TABLE), and whether code that does not know of it goes on working.
Tables that the same file makes are nobody's yet. The rules here need no program; where `squawk` is installed
(squawkhq.com), its rules are asked as well.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from llmgw.cluster import steps as known
from llmgw.cluster.statements import Statement, statements
from llmgw.cluster.steps import Step
from llmgw.ports import Fault


class _Rule(NamedTuple):
    """`pattern` finds the fault in the plain text of a statement; `table` is the one it is about, if it names one."""

    name: str
    pattern: re.Pattern[str]
    message: str


def _rule(name: str, pattern: str, message: str) -> _Rule:
    table = r'(?:only )?(?:if exists )?(?:public\.)?(?P<table>"[^"]+"|\w+)'
    return _Rule(name, re.compile(pattern.replace("TABLE", table)), message)


_ALTER: Final = "^alter table TABLE .*"

_BLOCKING: Final = (
    _rule(
        "index-concurrently",
        r"^create (unique )?index (?!concurrently).* on TABLE",
        "writers of the table wait until the index is made; use CREATE INDEX CONCURRENTLY in a file of its own, "
        "with the comment '-- llmgw: outside a transaction'",
    ),
    _rule(
        "required-column",
        _ALTER
        + r"\badd (column )?(?!constraint|check|unique|primary|foreign)(?=[^,]*\bnot null\b)(?![^,]*\bdefault\b)",
        "rows that are there have no value for it, nor do those that the release before this one writes; give it a "
        "default, or leave it nullable",
    ),
    _rule(
        "volatile-default",
        _ALTER
        + r"\badd .*\bdefault \(?(gen_random_uuid|random|clock_timestamp|uuidv\d|nextval|uuid_generate_v\d)\b",
        "the whole table is written anew under a lock; add the column without a default, then fill it in batches",
    ),
    _rule(
        "generated-column", _ALTER + r"\badd .*\bgenerated\b", "the whole table is written anew under a lock"
    ),
    _rule(
        "type",
        _ALTER + r"\balter (column )?\S+ (set data )?type\b",
        "the whole table is written anew under a lock, and other code expects the former type; add another column",
    ),
    _rule(
        "set-not-null",
        _ALTER + r"\balter (column )?\S+ set not null\b",
        "the table is read whole under a lock; add CHECK (… IS NOT NULL) NOT VALID, then validate it in the next step",
    ),
    _rule(
        "validate-later",
        _ALTER + r"\badd (constraint \S+ )?(check|foreign key)\b(?!.*\bnot valid\b)",
        "the table is read whole under a lock; add NOT VALID, then VALIDATE CONSTRAINT in the next step",
    ),
    _rule(
        "reference-later",
        _ALTER + r"\badd (column )?\S+ [^,]*\breferences\b",
        "the table is read whole under a lock; add the column, then FOREIGN KEY … NOT VALID, then validate it",
    ),
    _rule(
        "unique-by-index",
        _ALTER + r"\badd (constraint \S+ )?(unique|primary key|exclude)\b(?! using index)",
        "the index is made under a lock; make it CONCURRENTLY in a step before, then ADD CONSTRAINT … USING INDEX",
    ),
    _rule(
        "storage",
        _ALTER + r"\bset (tablespace|logged|unlogged|access method)\b",
        "the whole table is written anew under a lock",
    ),
    _rule(
        "backfill",
        r"^(update|delete from|truncate( table)?|merge into|with\b.*\b(update|delete from|merge into)) TABLE",
        "rows that calls need are locked until the whole step has ended; have the code do it in batches",
    ),
    _rule("lock", r"^lock (table )?TABLE", "everybody waits until the step has ended"),
    _rule(
        "rewrite",
        r"^(vacuum|cluster|reindex (?!.*concurrently)|refresh materialized view (?!concurrently))",
        "the table is locked while it is written anew",
    ),
)

_BREAKING: Final = (
    _rule(
        "drop", r"^drop (table|view|sequence|type|function|schema) ", "the release before this one may use it"
    ),
    _rule(
        "drop-column",
        _ALTER + r"\bdrop (column )?(?!constraint|default|not null|expression|identity)",
        "the release before this one may use it",
    ),
    _rule(
        "rename",
        r"^alter (table|view|sequence|type|function) TABLE .*\brename\b|^alter \w+ .* rename (to|column)\b",
        "the release before this one knows it by its former name; add another and keep both for a release",
    ),
    _rule(
        "stricter",
        _ALTER + r"\badd (constraint \S+ )?check\b",
        "the release before this one may write what it forbids",
    ),
)

_CONTROL: Final = re.compile(r"^(begin|commit|rollback|savepoint|release|start transaction|end|set|reset)\b")
_NEW: Final = re.compile(
    r'^create (?:unlogged )?table (?:if not exists )?(?:public\.)?(?P<table>"[^"]+"|\w+)'
)
_TOUCHED: Final = re.compile(
    r"^(?:alter table (?:only )?(?:if exists )?|drop table (?:if exists )?|drop trigger .*? on "
    r"|create (?:or replace )?(?:constraint )?trigger .*? on |create index (?!concurrently).*? on (?:only )?)"
    r'(?:public\.)?(?P<table>"[^"]+"|\w+)'
)

_SQUAWK_EXCLUDED: Final = ("require-lock-timeout", "require-statement-timeout")
"""The migrator sets both."""
_SQUAWK_BREAKING: Final = (
    "ban-drop-column", "ban-drop-table", "ban-drop-not-null", "renaming-column", "renaming-table",
)  # fmt: skip
"""What a step that is not additive is for."""


def check(steps: Sequence[Step] | None = None) -> list[Fault]:
    """Everything that is wrong with these steps, with those of this llmgw where none are given."""
    chosen = known.released() if steps is None else steps
    return [fault for step in chosen for fault in (*_own(step), *_squawk(step))]


def _own(step: Step) -> Iterator[Fault]:
    made: set[str] = set()
    touched: dict[str, Statement] = {}
    for statement in statements(step.text):
        if new := _NEW.match(statement.plain):
            made.add(new["table"])
        yield from (_fault(step, statement, rule) for rule in _broken(step, statement, made))
        if _CONTROL.match(statement.plain):
            yield _at(step, statement, "control", "transactions and settings are the migrator's")
        concurrent = re.search(r"^\w+ .*\bconcurrently\b", statement.plain) is not None
        if concurrent and step.in_transaction:
            yield _at(
                step,
                statement,
                "concurrently",
                "it cannot run in a transaction; say '-- llmgw: outside a transaction' at the top of the file",
            )
        if not concurrent and not step.in_transaction:
            yield _at(
                step,
                statement,
                "in-transaction",
                "what is not CONCURRENTLY belongs into a file that is taken in a transaction: half of it done is worse "
                "than none",
            )
        table = _TOUCHED.match(statement.plain)
        if table is not None and table["table"] not in made:
            touched.setdefault(table["table"], statement)
    # The locks of the first are held while those of the second are waited for.
    for statement in list(touched.values())[1:]:
        yield _at(
            step, statement, "one-table", "tables in use are locked together; one such table for each file"
        )


def _broken(step: Step, statement: Statement, made: set[str]) -> Iterator[_Rule]:
    for rule in (*_BLOCKING, *(_BREAKING if step.additive else ())):
        found = rule.pattern.search(statement.plain)
        if found is not None and found.groupdict().get("table") not in made:
            yield rule


def _fault(step: Step, statement: Statement, rule: _Rule) -> Fault:
    remedy = "; or say '-- llmgw: not additive', a release later" if rule in _BREAKING else ""
    return _at(step, statement, rule.name, rule.message + remedy)


def _at(step: Step, statement: Statement, rule: str, message: str) -> Fault:
    return Fault(file=step.file, line=statement.line, rule=rule, message=f"{message}.")


class _Finding(msgspec.Struct):
    """Of squawk's report. `line` counts from 0."""

    line: int
    message: str
    rule_name: str


def _squawk(step: Step) -> Iterator[Fault]:
    beside = Path(sys.executable).with_name("squawk")
    program = str(beside) if beside.exists() else shutil.which("squawk")
    if program is None:
        return
    excluded = (*_SQUAWK_EXCLUDED, *(() if step.additive else _SQUAWK_BREAKING))
    command = [program, "--reporter", "json", "--exclude", ",".join(excluded), "--stdin-filepath", step.file]
    if step.in_transaction:
        command.append("--assume-in-transaction")
    with tempfile.TemporaryDirectory() as nowhere:  # it reads a configuration of the folder it is run in
        done = subprocess.run(  # noqa: S603 - a program by its path, no shell
            command, input=step.text.encode(), capture_output=True, timeout=60, cwd=nowhere
        )
    try:
        findings = msgspec.json.decode(done.stdout, type=list[_Finding])
    except msgspec.MsgspecError:
        yield Fault(
            file=step.file, line=1, rule="squawk", message=f"squawk failed: {done.stderr.decode().strip()}"
        )
        return
    for finding in findings:
        yield Fault(
            file=step.file,
            line=finding.line + 1,
            rule=f"squawk: {finding.rule_name}",
            message=finding.message,
        )
