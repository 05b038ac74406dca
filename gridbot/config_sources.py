"""Reading the three places settings come from: TOML file, environment, command-line flags.

Each reader answers with what was given and where, and adds one line per problem to the list it is
handed instead of stopping at the first. Values of keys nobody knows are never repeated: a misspelt
credential would be among them.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

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


class Given(msgspec.Struct, frozen=True):
    """A value somebody set. ``from_text``: the source knows no types, so text is converted."""

    key: str
    raw: object
    origin: str
    from_text: bool


def read_file(path: Path, required_by: str | None, problems: list[str]) -> list[Given] | None:
    """What the TOML file at ``path`` sets; None if it is not there and nobody asked for it."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        if required_by is not None:
            problems.append(f"{required_by}: no such file: {path}")
            return []
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problems.append(f"file {path}: cannot be read: {reason}")
        return []
    return _parse_file(path, content, problems)


def _parse_file(path: Path, content: bytes, problems: list[str]) -> list[Given]:
    if len(content) > FILE_BYTES_MAX:
        problems.append(f"file {path}: larger than {FILE_BYTES_MAX} bytes; not a configuration")
        return []
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.append(f"file {path}:{line}: not UTF-8 text; save the file as UTF-8")
        return []
    try:
        document = tomllib.loads(text, parse_float=TomlFloat)
    except (ValueError, RecursionError) as error:
        problems.append(_syntax_problem(path, text, error))
        return []
    return _flatten(document, path, _key_lines(text), problems)


def _syntax_problem(path: Path, text: str, error: Exception) -> str:
    found = _SYNTAX_PLACE.fullmatch(str(error))
    if found is None:
        return f"file {path}: not valid TOML: {masked(str(error))}"
    line = int(found[2]) if found[2] else text.rstrip("\n").count("\n") + 1
    return (
        f"file {path}:{line}: not valid TOML: {masked(found[1])}{_SYNTAX_HINTS.get(found[1], '')}"
    )


def _flatten(
    document: Mapping[str, object], path: Path, lines: Lines, problems: list[str]
) -> list[Given]:
    given = []
    for section, table in document.items():
        origin = f"file {path}:{lines.get((section,), 1)}"
        if section not in sections():
            problems.append(f"{origin}: {_unknown_section(section, table)}")
        elif not isinstance(table, dict):
            problems.append(f"{origin}: {section} is a section: put [{section}] above its keys")
        else:
            for name, raw in table.items():
                line = lines.get((section, name)) or lines.get((section,), 1)
                found = Given(f"{section}.{name}", raw, f"file {path}:{line}", False)
                if found.key in rows():
                    given.append(found)
                else:
                    problems.append(f"{found.origin}: {_unknown_key(section, name)}")
    return given


def _unknown_section(name: str, value: object) -> str:
    if not isinstance(value, dict):
        return f"{masked(name)} stands outside a section{_hint(_similar_key('', name), name)}"
    near = _closest(name, sections())
    return f"[{masked(name)}] is no section{_hint(near and f'[{near}]', name, *value)}"


def _unknown_key(section: str, name: str) -> str:
    key = f"{section}.{name}".strip(".")
    return f"{masked(key)} is no setting{_hint(_similar_key(section, name), name)}"


def _hint(guess: str | None, *names: str) -> str:
    if guess is None and any(is_secret_name(name) for name in names):
        return f"; Kraken credentials are read from {' and '.join(CREDENTIALS)} only"
    return f"; did you mean {guess}?" if guess else ""


def _similar_key(section: str, name: str) -> str | None:
    moved = [key for key, row in rows().items() if row.name == name.lower()]
    if moved:
        return moved[0]
    near = _closest(name, [row.name for row in rows().values() if row.section == section])
    return f"{section}.{near}" if near else _closest(f"{section}.{name}".strip("."), rows())


def _closest(word: str, words: Iterable[str]) -> str | None:
    from difflib import get_close_matches  # only needed when something is wrong

    exact = {known.lower(): known for known in words}
    return next((exact[m] for m in get_close_matches(word.lower(), exact, 1, 0.7)), None)


def _key_lines(text: str) -> Lines:
    """The line on which each key and section of a TOML text is first named."""
    lines: Lines = {}
    section: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            section = path = _key_path(stripped.strip("[").split("]")[0])
        elif "=" in stripped and not stripped.startswith("#"):
            path = section + _key_path(stripped.split("=")[0])
        else:
            continue
        for depth in range(1, len(path) + 1):
            lines.setdefault(path[:depth], number)
    return lines


def _key_path(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


def read_env(env: Mapping[str, str], problems: list[str]) -> list[Given]:
    """What GRIDBOT_<SECTION>_<KEY> variables set; any other GRIDBOT_ variable is a problem."""
    names = {row.env_name: key for key, row in rows().items()}
    given = []
    for variable in sorted(name for name in env if name.startswith(ENV_PREFIX)):
        if variable in names:
            given.append(Given(names[variable], env[variable], f"env {variable}", True))
        elif variable != ENV_CONFIG:
            guess = _closest(variable, [*names, ENV_CONFIG])
            credential = next((c for c in CREDENTIALS if variable.endswith(c[6:])), None)
            hint = _hint(credential or guess)
            problems.append(f"env {masked(variable)}: names no setting{hint}")
    return given


def read_flags(overrides: Sequence[tuple[str, str]], problems: list[str]) -> list[Given]:
    """What ``--set section.key=value`` flags set; the last one of a key counts."""
    given = []
    for key, text in overrides:
        if key in rows():
            given.append(Given(key, text, f"flag --set {key}", True))
        else:
            section, _, name = key.rpartition(".")
            problems.append(f"flag --set: {_unknown_key(section, name)}")
    return given
