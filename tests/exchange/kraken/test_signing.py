"""Signatures and the secrecy of what makes them."""

import pytest

from gridbot.exchange.kraken.signing import Credentials, MalformedCredentials, sign

SECRET = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
BODY = "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"
SIGNED = "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="


def test_the_published_example_gets_its_published_signature() -> None:
    assert sign("/0/private/AddOrder", "1616492376594", BODY, SECRET) == SIGNED


@pytest.mark.parametrize("change", ["path", "nonce", "body"])
def test_every_part_of_a_call_is_signed(change: str) -> None:
    parts = {"path": "/0/private/AddOrder", "nonce": "1616492376594", "body": BODY}
    parts[change] += "1"
    assert sign(**parts, secret=SECRET) != SIGNED


def test_credentials_show_nothing_of_themselves() -> None:
    pair = Credentials("publickeytext", SECRET)
    assert "publickeytext" not in f"{pair!r} {pair}" and SECRET not in f"{pair!r} {pair}"


@pytest.mark.parametrize(
    ("key", "secret"),
    [("key", "not base64!"), ("key", SECRET[:-1]), ("k9\ney", SECRET), (" k9ey", SECRET),
     ("", SECRET), ("key", ""), ("schlüssel", SECRET), ("key", SECRET + "\n")],
)  # fmt: skip
def test_malformed_credentials_are_refused_without_being_quoted(key: str, secret: str) -> None:
    with pytest.raises(MalformedCredentials) as caught:
        Credentials(key, secret)
    text = str(caught.value)
    assert "\n" not in text and (not secret or secret not in text) and "k9" not in text
    assert caught.value.__cause__ is None
