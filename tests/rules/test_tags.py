"""Which tags a call has."""

from __future__ import annotations

import pytest

from llmgw.errors import InvalidRequest
from llmgw.rules import tags


def test_a_client_adds_and_never_replaces() -> None:
    """What the key's metadata says stands, whatever the header says."""
    assert tags.of_call({"team": "red"}, b"team=blue, feature=search ,a/b=x:y@1") == {
        "team": "red",
        "feature": "search",
        "a/b": "x:y@1",
    }
    assert tags.of_call({"team": "red"}, None) == {"team": "red"}


@pytest.mark.parametrize(
    "header",
    [
        b"", b"=", b"a", b"a=", b"=b", b"a=b,", b"a b=c", b"a=b;c=d\x01", b"a=\xff", "a=ü".encode(), b"a" * 65 + b"=1",
        b"a=" + b"x" * 129, b",".join(b"a%d=1" % n for n in range(17)),
    ],
)  # fmt: skip
def test_a_malformed_header_is_refused_with_what_to_send(header: bytes) -> None:
    """No tag is dropped or guessed: spend must not land on another one than the client meant."""
    with pytest.raises(InvalidRequest, match="x-llmgw-tags"):
        tags.of_call({}, header)
