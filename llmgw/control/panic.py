"""The panic switch for operators: what is on, since when and by whom."""

from __future__ import annotations

from collections.abc import Sequence

from llmgw.errors import NotFound, OperatorError, UsageError
from llmgw.ports import PanicSwitch
from llmgw.rules.panic import KINDS, Action, Entry, ScopeKind


def scope_of(text: str) -> tuple[ScopeKind, str]:
    """What `all`, `org:O`, `provider:P`, `model:M`, `key:K` mean; UsageError for anything else."""
    kind, _, name = text.partition(":")
    for known in KINDS:
        if kind == known and bool(name) == (known != "all"):
            return known, name
    raise UsageError(f"{text!r} is no scope; give all, org:NAME, provider:NAME, model:NAME or key:ID.")


def on(
    switch: PanicSwitch,
    scope: str,
    action: Action,
    *,
    reason: str,
    actor: str,
    now: float,
    retry_after_s: float = 60.0,
    cut: bool = False,
) -> tuple[Entry, ...]:
    """Turn a scope on, in place of what it had; all that is on then."""
    kind, name = scope_of(scope)
    if not reason.strip() or not actor.strip():
        raise UsageError("Say why: --reason TEXT; it is told to clients and kept.")
    if cut and action != "block":
        raise UsageError("--cut goes with --action block.")
    entry = Entry(
        scope=kind, name=name, action=action, reason=reason.strip(), actor=actor, since=now,
        retry_after_s=retry_after_s, cut=cut,
    )  # fmt: skip
    with switch.held():
        entries = (*[known for known in switch.read() if known.text != entry.text], entry)
        switch.change(entries, did=f"on {action}", scope=entry.text, actor=actor, reason=entry.reason)
    return entries


def off(switch: PanicSwitch, scope: str | None, *, reason: str, actor: str) -> tuple[Entry, ...]:
    """Turn a scope off, or everything; what is still on. NotFound where the scope is not on."""
    if scope is None:
        with switch.held():
            switch.change((), did="off", scope="everything", actor=actor, reason=reason)
        return ()
    kind, name = scope_of(scope)
    text = kind if kind == "all" else f"{kind}:{name}"
    with switch.held():
        entries = switch.read()
        kept = tuple(entry for entry in entries if entry.text != text)
        if len(kept) == len(entries):
            raise NotFound(f"Panic is not on for {text}; 'llmgw panic status' shows what it is on for.")
        switch.change(kept, did="off", scope=text, actor=actor, reason=reason)
    return kept


def refuse_changes(entries: Sequence[Entry], *, force: bool = False) -> None:
    """Configuration does not change while panic is on, unless that is meant; OperatorError."""
    if entries and not force:
        raise OperatorError(
            f"Panic is on ({', '.join(entry.text for entry in entries)}), so the configuration stays as it is; "
            "turn it off first: llmgw panic off."
        )
