"""The text of virtual keys and tokens."""

from __future__ import annotations

import hashlib
import re
import string

from hypothesis import given
from hypothesis import strategies as st

from llmgw.keyring import token, virtual_key
from llmgw.keyring.virtual_key import mint, parse

BASE62 = string.digits + string.ascii_letters
MINTED = mint()
KEY = MINTED.key.reveal()


def test_a_minted_key_parses_to_what_the_store_keeps() -> None:
    """Text and bytes of a new key both give its public id and the digest of the whole key."""
    for presented in (KEY, KEY.encode()):
        parsed = parse(presented)
        assert parsed is not None
        assert (parsed.public_id, parsed.digest) == (MINTED.public_id, MINTED.digest)
    assert MINTED.digest == hashlib.sha256(KEY.encode()).digest()


def test_a_new_secret_keeps_the_public_id() -> None:
    """Rotation changes the secret, never the id that names the key."""
    again = mint(MINTED.public_id)
    assert again.public_id == MINTED.public_id
    assert again.digest != MINTED.digest


def test_a_secret_has_at_least_160_random_bits() -> None:
    """32 base62 characters between the public id and the checksum, and no two keys share them."""
    secrets = {mint().key.reveal().removeprefix("sk-llmgw-")[13:-6] for _ in range(200)}
    assert len(secrets) == 200
    assert {len(secret) for secret in secrets} == {32}
    assert set("".join(secrets)) == set(BASE62)


def test_one_pattern_finds_keys_and_another_tokens() -> None:
    """A secret scanner finds both kinds in running text, and does not take one for the other."""
    admin = token.mint().key.reveal()
    text = f'export KEY="{KEY}" TOKEN={admin};'
    assert re.findall(virtual_key.PATTERN, text) == [KEY]
    assert re.findall(token.PATTERN, text) == [admin]


def test_a_control_plane_token_is_no_virtual_key() -> None:
    """The administrator's token does not serve inference."""
    assert parse(token.mint().key.reveal()) is None


def test_a_printed_minted_key_is_redacted() -> None:
    """Logging what `mint` returns gives nothing away."""
    assert KEY not in repr(MINTED)


@given(st.integers(0, len(KEY) - 1), st.sampled_from(string.printable))
def test_any_changed_character_is_refused(place: int, character: str) -> None:
    """The checksum finds every single wrong character."""
    mistyped = KEY[:place] + character + KEY[place + 1 :]
    assert (parse(mistyped) is not None) == (mistyped == KEY)


@given(st.integers(0, len(KEY) - 2))
def test_any_swapped_neighbours_are_refused(place: int) -> None:
    """The checksum finds two characters typed in the wrong order."""
    mistyped = KEY[:place] + KEY[place + 1] + KEY[place] + KEY[place + 2 :]
    assert (parse(mistyped) is not None) == (mistyped == KEY)


@given(st.integers(0, len(KEY) - 1), st.integers(0, len(KEY) - 1))
def test_any_two_swapped_characters_never_pass_for_the_key(first: int, second: int) -> None:
    """Wherever the two stand, the checksum refuses the text or the digest differs."""
    letters = list(KEY)
    letters[first], letters[second] = letters[second], letters[first]
    mistyped = "".join(letters)
    parsed = parse(mistyped)
    assert mistyped == KEY or parsed is None or parsed.digest != MINTED.digest


@given(st.one_of(st.text(), st.binary(), st.from_regex(virtual_key.PATTERN, fullmatch=True)))
def test_no_text_raises(presented: str | bytes) -> None:
    """Whatever a client sends is parsed or refused, never an exception."""
    parsed = parse(presented)
    assert parsed is None or len(parsed.digest) == 32


def test_near_misses_are_refused() -> None:
    """Nothing may stand before or after the key, not even a newline, and case matters."""
    for near in (
        "",
        "sk-llmgw-",
        KEY + "\n",
        " " + KEY,
        KEY[:-1],
        KEY + "A",
        KEY.upper(),
        "\ud800",
        "é" + KEY[1:],
    ):
        assert parse(near) is None, near
