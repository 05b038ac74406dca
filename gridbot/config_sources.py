"""Reading the three places settings come from: TOML file, environment, command-line flags.

Each reader yields what was given and where, and a line of text for each problem instead of stopping
at the first. Values of keys nobody knows are never repeated: a misspelt credential would be among
them.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gridbot.config_schema import TomlFloat, is_secret_name, masked, rows, sections

FILE_BYTES_MAX = 1_000_000
ENV_PREFIX = "GRIDBOT_"
ENV_CONFIG = "GRIDBOT_CONFIG"
CREDENTIALS = ("KRAKEN_API_KEY", "KRAKEN_API_SECRET")

Lines = dict[tuple[str, ...], int]

_SYNTAX_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", re.DOTALL)
_SYNTAX_HINTS = {
    "Invalid value": "; text needs quotes, a fraction a digit before its dot",
    "Expected newline or end of document after a statement": "; a fraction needs a dot",
}


class Given(NamedTuple):
    """A value somebody set. ``from_text``: the source knows no types, so text is converted."""

    key: str
    raw: object
    origin: str
    from_text: bool


def read_file(path: Path, required_by: str | None) -> Iterator[Given | str]:
    """What the TOML file at ``path`` sets; it may be missing if nobody asked for it."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
        if len(content) > FILE_BYTES_MAX:
            yield f"file {path}: larger than {FILE_BYTES_MAX} bytes; not a configuration"
            return
        text = content.decode("utf-8-sig")
        document = tomllib.loads(text, parse_float=TomlFloat)
    except (FileNotFoundError, NotADirectoryError):
        if required_by is not None:
            yield f"{required_by}: no such file: {path}"
    except OSError as error:
        yield f"file {path}: cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        yield f"file {path}:{line}: not UTF-8 text; save the file as UTF-8"
    except (ValueError, RecursionError) as error:
        yield f"file {path}:{_syntax_problem(str(error), text)}"
    else:
        yield from _flatten(document, path, _key_lines(text))


def _syntax_problem(message: str, text: str) -> str:
    found = _SYNTAX_PLACE.fullmatch(message)
    if found is None:
        return f" not valid TOML: {masked(message)}"
    line = found[2] or text.rstrip("\n").count("\n") + 1
    return f"{line}: not valid TOML: {masked(found[1])}{_SYNTAX_HINTS.get(found[1], '')}"


def _flatten(document: dict[str, object], path: Path, lines: Lines) -> Iterator[Given | str]:
    for section, table in document.items():
        start = lines.get((section,), 1)
        if section not in sections():
            yield f"file {path}:{start}: {_unknown_section(section, table)}"
        elif not isinstance(table, dict):
            yield f"file {path}:{start}: {section} is a section: put [{section}] above its keys"
        else:
            for name, raw in table.items():
                origin = f"file {path}:{lines.get((section, name), start)}"
                key = f"{section}.{name}"
                known = key in rows()
                yield Given(key, raw, origin, False) if known else f"{origin}: {_unknown_key(key)}"


def _unknown_section(name: str, value: object) -> str:
    if not isinstance(value, dict):
        return f"{masked(name)} stands outside a section{_hint(_similar_key(name), name)}"
    near = _closest(name, sections())
    return f"[{masked(name)}] is no section{_hint(near and f'[{near}]', name, *value)}"


def _unknown_key(key: str) -> str:
    return f"{masked(key)} is no setting{_hint(_similar_key(key), key)}"


def _hint(guess: str | None, *names: str) -> str:
    if guess is None and any(is_secret_name(name) for name in names):
        return f"; Kraken credentials are read from {' and '.join(CREDENTIALS)} only"
    return f"; did you mean {guess}?" if guess else ""


def _similar_key(key: str) -> str | None:
    section, _, name = key.rpartition(".")
    for row in rows().values():
        if row.name == name.lower():
            return row.key
    near = _closest(name, [row.name for row in sections().get(section, [])])
    return f"{section}.{near}" if near else _closest(key, rows())


def _closest(word: str, words: Iterable[str]) -> str | None:
    from difflib import get_close_matches  # only needed when something is wrong

    exact = {known.lower(): known for known in words}
    return next((exact[m] for m in get_close_matches(word.lower(), exact, 1, 0.7)), None)


def _key_lines(text: str) -> Lines:
    """The line on which each key and section of a TOML text is first named."""
    lines: Lines = {}
    section: tuple[str, ...] = ()
    for number, line in enumerate(map(str.strip, text.split("\n")), start=1):
        path: tuple[str, ...] = ()
        if line.startswith("["):
            section = path = _key_path(line.strip("[").split("]")[0])
        elif "=" in line and not line.startswith("#"):
            path = section + _key_path(line.split("=")[0])
        for depth in range(1, len(path) + 1):
            lines.setdefault(path[:depth], number)
    return lines


def _key_path(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


def read_env(env: Mapping[str, str]) -> Iterator[Given | str]:
    """What GRIDBOT_<SECTION>_<KEY> variables set; any other GRIDBOT_ variable is a problem."""
    names = {row.env_name: key for key, row in rows().items()}
    for variable in sorted(name for name in env if name.startswith(ENV_PREFIX)):
        if variable in names:
            yield Given(names[variable], env[variable], f"env {variable}", True)
        elif variable != ENV_CONFIG:
            credential = next((c for c in CREDENTIALS if variable.endswith(c[6:])), None)
            hint = _hint(credential or _closest(variable, [*names, ENV_CONFIG]))
            yield f"env {masked(variable)}: names no setting{hint}"


def read_flags(
    overrides: Iterable[tuple[str, str]], typed: Mapping[str, str]
) -> Iterator[Given | str]:
    """What ``--set section.key=value`` sets; the last one of a key counts.
    ``typed`` names the flags that stand for --set and a key, by their keys.
    """
    for key, text in overrides:
        if key in rows():
            yield Given(key, text, f"flag {typed.get(key, f'--set {key}')}", True)
        else:
            yield f"flag --set: {_unknown_key(key)}"
