"""What every key service guarantees (`ports.Kms`)."""

from __future__ import annotations

import secrets

import pytest

from llmgw.errors import IntegrityError
from llmgw.ports import Kms


def test_a_wrapped_key_unwraps(kms: Kms) -> None:
    """The data key comes back, and is wrapped under the current term."""
    data_key = secrets.token_bytes(32)
    term, wrapped = kms.wrap(data_key, b"context")
    assert term == kms.current
    assert kms.unwrap(term, wrapped, b"context") == data_key


def test_the_current_term_can_unwrap(kms: Kms) -> None:
    """It is among the terms, of which none is named twice."""
    assert kms.current in kms.terms()
    assert len(set(kms.terms())) == len(kms.terms())


def test_two_wraps_of_one_key_do_not_show_it(kms: Kms) -> None:
    """Whoever sees two rows cannot tell that their keys are the same."""
    assert kms.wrap(b"k" * 32, b"")[1] != kms.wrap(b"k" * 32, b"")[1]


@pytest.mark.parametrize("context", [b"", b"contex", b"context\0", b"\0context"])
def test_another_context_is_refused(kms: Kms, context: bytes) -> None:
    """A wrapped key is bound to the row it was made for."""
    term, wrapped = kms.wrap(b"k" * 32, b"context")
    with pytest.raises(IntegrityError):
        kms.unwrap(term, wrapped, context)


@pytest.mark.parametrize("term", ["", "local:2", "local:", "local:x", "other:1", "local:" + "9" * 5000, "\0"])
def test_an_unknown_term_is_refused(kms: Kms, term: str) -> None:
    """Whatever stands in the row, it is an IntegrityError."""
    with pytest.raises(IntegrityError):
        kms.unwrap(term, kms.wrap(b"k" * 32, b"")[1], b"")


def test_changed_bytes_are_refused(kms: Kms) -> None:
    """A flip anywhere, a cut anywhere, something added."""
    term, wrapped = kms.wrap(b"k" * 32, b"")
    for place in range(len(wrapped)):
        flipped = wrapped[:place] + bytes([wrapped[place] ^ 1]) + wrapped[place + 1 :]
        for changed in (flipped, wrapped[:place]):
            with pytest.raises(IntegrityError):
                kms.unwrap(term, changed, b"")
    with pytest.raises(IntegrityError):
        kms.unwrap(term, wrapped + b"\0", b"")
