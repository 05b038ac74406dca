"""Where a Kraken key comes from, and that no complaint about one shows any of it."""

import base64
import os
from pathlib import Path

import pytest

from gridbot.exchange.kraken.credentials import CredentialsError, checked, find_credentials

KEY = "Zk9" + "aB3xQ" * 10 + "Yw4"
SECRET = base64.b64encode(bytes(range(100, 164))).decode()
OTHER_SECRET = base64.b64encode(bytes(range(64))).decode()
BOTH = {"KRAKEN_API_KEY": KEY, "KRAKEN_API_SECRET": SECRET}


def key_file(path: Path, key: str = KEY, secret: str = SECRET, mode: int = 0o600) -> Path:
    path.write_text(f"# Kraken\n\nexport KRAKEN_API_KEY='{key}'\nKRAKEN_API_SECRET = {secret}\n")
    path.chmod(mode)
    return path


def test_the_environment_comes_before_directory_and_file(tmp_path: Path) -> None:
    (tmp_path / "kraken_api_key").write_text("other")
    found = find_credentials({**BOTH, "CREDENTIALS_DIRECTORY": str(tmp_path)}, tmp_path / "none")
    assert (found.key, found.secret) == (KEY, SECRET)


def test_the_credential_directory_comes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "kraken_api_key").write_text(f"{KEY}\n")
    (tmp_path / "kraken_api_secret").write_text(f"{SECRET}\n")
    file = key_file(tmp_path / "credentials", secret=OTHER_SECRET)
    found = find_credentials({"CREDENTIALS_DIRECTORY": str(tmp_path)}, file)
    assert (found.key, found.secret) == (KEY, SECRET)


def test_a_credential_directory_for_something_else_is_passed_over(tmp_path: Path) -> None:
    file = key_file(tmp_path / "credentials")
    found = find_credentials({"CREDENTIALS_DIRECTORY": str(tmp_path), "KRAKEN_API_KEY": " "}, file)
    assert (found.key, found.secret) == (KEY, SECRET)


def test_without_any_it_says_where_they_may_stand(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"set KRAKEN_API_KEY and .* or run gridbot init"):
        find_credentials({}, tmp_path / "credentials")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o644])
def test_a_file_that_others_may_open_is_refused_with_the_line_to_type(
    tmp_path: Path, mode: int
) -> None:
    file = key_file(tmp_path / "credentials", mode=mode)
    with pytest.raises(CredentialsError, match=f"type chmod 600 {file}$"):
        find_credentials({}, file)


def test_a_file_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = key_file(tmp_path / "credentials")
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid + 1)
    with pytest.raises(CredentialsError, match="belongs to another user"):
        find_credentials({}, file)


def test_a_pipe_or_directory_in_its_place_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for place in (tmp_path / "pipe", tmp_path):
        with pytest.raises(CredentialsError, match=r"missing or empty|cannot be read"):
            find_credentials({}, place)


@pytest.mark.parametrize(
    ("key", "secret", "fault"),
    [
        ("", SECRET, "KRAKEN_API_KEY is missing or empty"),
        (KEY, "", "KRAKEN_API_SECRET is missing or empty"),
        (SECRET, KEY, "swapped"),
        (SECRET, SECRET, "the same text"),
        (KEY, KEY, "the same text"),
        (KEY, SECRET[:40] + " " + SECRET[40:], "blanks inside"),
        (KEY[:9] + "\t" + KEY[9:], SECRET, "blanks inside"),
        (KEY, SECRET[:-1], "not base64 text"),
        (KEY, "secret-" + SECRET, "not base64 text"),
        (KEY, "ä" + SECRET, "not base64 text"),
        (KEY + "é", SECRET, "characters that no key has"),
    ],
)
def test_a_bad_pair_is_one_line_that_shows_nothing_of_it(
    key: str, secret: str, fault: str, tmp_path: Path
) -> None:
    file = key_file(tmp_path / "credentials", key, secret)
    with pytest.raises(CredentialsError, match=fault) as in_file:
        find_credentials({}, file)
    with pytest.raises(CredentialsError, match=fault) as direct:
        checked(key, secret, "environment")
    for error, place in ((in_file.value, str(file)), (direct.value, "environment")):
        assert str(error).startswith(place)
        assert "\n" not in str(error)
        assert error.__cause__ is None
        for hidden in (key, secret):
            pieces = {hidden[at : at + 8] for at in range(len(hidden) - 7)}
            assert not any(piece in str(error).removeprefix(place) for piece in pieces)


def test_a_line_of_another_kind_is_named_by_its_number_only(tmp_path: Path) -> None:
    file = key_file(tmp_path / "credentials")
    file.write_text(f"KRAKEN_API_KEY={KEY}\nKRAKEN_SECRET={SECRET}\n")
    with pytest.raises(CredentialsError) as refused:
        find_credentials({}, file)
    assert str(refused.value) == f"{file}:2: needs KRAKEN_API_KEY=... or KRAKEN_API_SECRET=..."


def test_a_file_that_is_no_text_shows_nothing_of_it(tmp_path: Path) -> None:
    file = key_file(tmp_path / "credentials")
    file.write_bytes(b"\xff\xfe" + SECRET.encode("utf-16-le"))
    with pytest.raises(CredentialsError, match=r":1: needs KRAKEN"):
        find_credentials({}, file)
