"""Finding the operator's Kraken key: environment, systemd's credential directory, or a file.

The first place that has anything must have both halves. Every error names the place and what to
do there, never a character of what was found.
"""

import base64
import os
from collections.abc import Mapping
from pathlib import Path

from gridbot.exchange.kraken.signing import Credentials

KEY, SECRET, DIRECTORY = "KRAKEN_API_KEY", "KRAKEN_API_SECRET", "CREDENTIALS_DIRECTORY"
SECRET_BYTES, SECRET_BYTES_MIN = 64, 16  # Kraken gives 64; an emulator may give fewer
FILE_BYTES_MAX = 10_000


class CredentialsError(ValueError):
    """No usable credentials; the message names the place and the way out."""


def find_credentials(env: Mapping[str, str], file: Path) -> Credentials:
    """The credentials of the first place that has some; raises CredentialsError.
    Places: ``env`` itself, the directory it names as CREDENTIALS_DIRECTORY, ``file``.
    """
    key, secret = env.get(KEY, ""), env.get(SECRET, "")
    if key.strip() or secret.strip():
        return checked(key, secret, "environment")
    directory = env.get(DIRECTORY, "")
    parts = [Path(directory, name.lower()) for name in (KEY, SECRET)]
    if directory and any(map(os.path.exists, parts)):
        return checked(_text(parts[0]), _text(parts[1]), directory)
    if os.path.exists(file):
        return checked(*_halves(file), str(file))
    way = f"set {KEY} and {SECRET}, or run gridbot init to make {file}"
    raise CredentialsError(f"no Kraken credentials: {way}")


def checked(key: str, secret: str, place: str) -> Credentials:
    """``key`` and ``secret`` as found in ``place``; CredentialsError if Kraken never made such."""
    key, secret = key.strip(), secret.strip()
    for wrong, fault in (
        (not key, f"{KEY} is missing or empty"),
        (not secret, f"{SECRET} is missing or empty"),
        (len(key.split() + secret.split()) > 2, "key or secret has blanks inside: copy it again"),
        (key == secret, f"{KEY} and {SECRET} are the same text: copy both again"),
        (_size(key) == SECRET_BYTES != _size(secret), f"{KEY} and {SECRET} seem to be swapped"),
        (_size(secret) < SECRET_BYTES_MIN, f"{SECRET} is not base64 text: copy all of it"),
        (not (key.isascii() and key.isprintable()), f"{KEY} has characters that no key has"),
    ):
        if wrong:
            raise CredentialsError(f"{place}: {fault}")
    return Credentials(key, secret)


def _size(text: str) -> int:
    """How many bytes ``text`` is in base64; 0 if it is none."""
    try:
        return len(base64.b64decode(text, validate=True))
    except ValueError:
        return 0


def _text(path: Path, private: bool = False) -> str:
    """The text of a small file, which must be ours alone if ``private``."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # a pipe never waits
            about = os.fstat(file.fileno())
            if private and about.st_uid != os.geteuid():
                raise CredentialsError(f"{path}: belongs to another user: chown it to yours")
            if private and about.st_mode & 0o077:
                raise CredentialsError(f"{path}: others may read it: type chmod 600 {path}")
            return file.read(FILE_BYTES_MAX).decode("utf-8-sig", "replace")
    except OSError as error:
        raise CredentialsError(f"{path}: cannot be read: {error.strerror}") from None


def _halves(file: Path) -> tuple[str, str]:
    found = {KEY: "", SECRET: ""}
    for number, line in enumerate(_text(file, private=True).splitlines(), 1):
        name, _, value = line.strip().removeprefix("export ").partition("=")
        if name.strip() in found:
            found[name.strip()] = value.strip().strip("\"'")
        elif name and not name.startswith("#"):
            raise CredentialsError(f"{file}:{number}: needs {KEY}=... or {SECRET}=...")
    return found[KEY], found[SECRET]
