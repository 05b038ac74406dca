"""The rows behind the settings: what each key means, what it accepts, and how to say so.

A row joins the type and default of a core Settings field with its help, unit and range from
``settings.toml``. Everything derived from the rows lives here: conversion of a raw value, the
sentence naming what is allowed, masking, the settings page and the example file.
"""

import re
import tomllib
import typing
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path

import msgspec

from gridbot.core.numbers import NumberError, check_decimal, parse_decimal, plain
from gridbot.core.settings import Settings

Value = Decimal | int | float | bool | str | None

MASK = "***"
TEXT_SHOWN_MAX = 60
TRUE_FALSE = {"true": True, "yes": True, "on": True, "1": True}
TRUE_FALSE |= {"false": False, "no": False, "off": False, "0": False}

_SECRET_NAME = re.compile("key|secret|token|password|passphrase", re.IGNORECASE)
_LONG_WORD = re.compile(r"[A-Za-z0-9+/=_.~-]{24,}")


class TomlFloat(str):
    """A TOML float as written: exact, shown as typed, and not to be confused with text."""


class Refused(ValueError):
    """A value its row does not accept; the message says what would be right."""


class Row(msgspec.Struct, frozen=True):
    """One setting. ``unset`` is what happens without a value, empty where there is always one."""

    key: str
    number: type | None
    choices: tuple[str, ...]
    default: Value
    help: str
    unit: str = ""
    min: Decimal | None = None
    max: Decimal | None = None
    above: Decimal | None = None
    below: Decimal | None = None
    format: str = ""
    unset: str = ""
    example: object = None

    @property
    def section(self) -> str:
        return self.key.split(".")[0]

    @property
    def name(self) -> str:
        return self.key.split(".")[1]

    @property
    def env_name(self) -> str:
        return "GRIDBOT_" + self.key.replace(".", "_").upper()


@cache
def _data() -> dict[str, typing.Any]:
    text = Path(__file__).with_name("settings.toml").read_text(encoding="utf-8")
    return tomllib.loads(text, parse_float=Decimal)


@cache
def rows() -> Mapping[str, Row]:
    """Every setting by "section.key", in the order of the Settings structs."""
    defaults, result = Settings(), {}
    for section, struct in typing.get_type_hints(Settings).items():
        for name, hint in typing.get_type_hints(struct).items():
            default = getattr(getattr(defaults, section), name)
            result[f"{section}.{name}"] = _row(section, name, hint, default)
    return result


def _row(section: str, name: str, hint: typing.Any, default: Value) -> Row:
    parts = [hint] if typing.get_origin(hint) is typing.Literal else typing.get_args(hint) or [hint]
    words = [p for part in parts for p in typing.get_args(part)]
    number = next((t for t in (bool, int, float, Decimal) if t in parts), None)
    about = dict(_data()[section][name])
    for bound in {"min", "max", "above", "below"} & set(about):
        about[bound] = Decimal(about[bound])
    return Row(f"{section}.{name}", number, tuple(words), default, **about)


def sections() -> Mapping[str, list[Row]]:
    """The rows of each section, in order."""
    result: dict[str, list[Row]] = {}
    for row in rows().values():
        result.setdefault(row.section, []).append(row)
    return result


# ---- what is accepted


def convert(row: Row, raw: object, from_text: bool = False) -> Value:
    """``raw`` as the row's type, or Refused. ``from_text``: environment and flags, all text.

    An empty text takes an optional setting back to "not set".
    """
    if isinstance(raw, str) and not isinstance(raw, TomlFloat):
        text = raw.strip()
        if not text and row.unset:
            return None
        if text in row.choices:
            return text
        if from_text and row.number is bool and text.lower() in TRUE_FALSE:
            return TRUE_FALSE[text.lower()]
        if row.format and re.fullmatch(_data()["formats"][row.format]["pattern"], text):
            return text
    if row.number is bool and isinstance(raw, bool):
        return raw
    if row.number in (int, float, Decimal):
        return _number(row, raw, from_text)
    raise Refused(f"must be {allowed(row)}")


def _number(row: Row, raw: object, from_text: bool) -> Value:
    refused = Refused(f"must be {allowed(row)}")
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        raise refused
    if isinstance(raw, str) and not isinstance(raw, TomlFloat):
        if re.fullmatch(r"\s*[+-]?\d*,\d+\s*", raw):
            raise Refused(f"use a dot: {raw.strip().replace(',', '.')}")
        if not from_text and row.number is not Decimal:
            raise Refused(f"must be {allowed(row)}, without quotes")
    if row.number is int and not re.fullmatch(r"\s*[+-]?[0-9_]+\s*", _digits(raw)):
        raise refused
    try:
        value = check_decimal(parse_decimal(raw))
    except NumberError:
        raise refused from None
    if not _in_range(row, value):
        raise refused
    return value if row.number is Decimal else int(value) if row.number is int else float(value)


def _digits(raw: int | str) -> str:
    # Python refuses to print integers of thousands of digits, which TOML can write in hexadecimal.
    return raw if isinstance(raw, str) else str(raw) if abs(raw) < 10**19 else "too long"


def _in_range(row: Row, value: Decimal) -> bool:
    return (
        (row.min is None or value >= row.min)
        and (row.max is None or value <= row.max)
        and (row.above is None or value > row.above)
        and (row.below is None or value < row.below)
    )


def allowed(row: Row, unit: bool = True) -> str:
    """What the row accepts, as it follows "must be"."""
    if row.number is bool:
        return "true or false"
    if row.number is None:
        if row.choices:
            return "one of " + ", ".join(row.choices)
        return str(_data()["formats"][row.format]["help"])
    bounds = {"at least": row.min, "above": row.above, "at most": row.max, "below": row.below}
    limits = [f"{word} {plain(bound)}" for word, bound in bounds.items() if bound is not None]
    if row.min is not None and row.max is not None:
        limits = [f"from {plain(row.min)} to {plain(row.max)}"]
    kind = "a whole number" if row.number is int else "a number"
    text = f"{kind} {' and '.join(limits)}" + (f" ({row.unit})" if unit and row.unit else "")
    return text + "".join(f' or "{word}"' for word in row.choices)


# ---- what is shown


def is_secret_name(name: str) -> bool:
    """Whether a key or variable sounds like a credential, so that its value is never shown."""
    return _SECRET_NAME.search(name) is not None


def masked(text: str) -> str:
    """``text`` on one line, cut to a readable length, with anything like a credential starred."""
    text = "".join(c if c.isprintable() else "?" for c in text)
    text = _LONG_WORD.sub(_star_if_mixed, re.sub(r"//[^/@\s]*@", f"//{MASK}@", text))
    return text if len(text) <= TEXT_SHOWN_MAX else text[: TEXT_SHOWN_MAX - 3] + "..."


def _star_if_mixed(match: re.Match[str]) -> str:
    # Keys and tokens mix kinds of characters; long figures and long plain words do not.
    mixed = sum(bool(re.search(kind, match[0])) for kind in ("[a-z]", "[A-Z]", "[0-9]")) > 1
    return MASK if mixed else match[0]


def shown_raw(key: str, raw: object) -> str:
    """A refused value for an error line: text in quotes, numbers as typed, secrets starred."""
    if is_secret_name(key):
        return MASK
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, TomlFloat | int):
        return masked(_digits(raw))
    if isinstance(raw, str):
        return f'"{masked(raw)}"'
    return "a table" if isinstance(raw, dict) else "a list" if isinstance(raw, list) else "a date"


def shown(row: Row, value: Value) -> str:
    """An accepted value for people; what stands in for it where it is not set."""
    if value is None:
        return f"not set ({row.unset})"
    if is_secret_name(row.key):
        return MASK
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, float):
        return plain(Decimal(repr(value)))
    text = str(value)
    return text if row.format == "path" else masked(text)


# ---- pages generated from the rows


def example_toml() -> str:
    """The example file: every key with its meaning, and its default behind a ``#``."""
    lines = ["# gridbot configuration: remove the # in front of a key and change its value."]
    lines += ["# Check it with: gridbot config check --config FILE", ""]
    for section, members in sections().items():
        lines += [f"# {_data()[section]['about']}", f"[{section}]"]
        for row in members:
            lines.append(f"# {row.help} Allowed: {allowed(row)}.{_not_set(row)}")
            # A blank after the # marks an example that is not the default.
            mark = "#" if row.default is not None else "# "
            lines.append(f"{mark}{row.name} = {_toml(row)}")
        lines.append("")
    return "\n".join(lines)


def _not_set(row: Row) -> str:
    return f" Not set: {row.unset}." if row.unset else ""


def _toml(row: Row) -> str:
    value = row.example if row.default is None else row.default
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else plain(Decimal(str(value)))


def settings_markdown() -> str:
    """docs/SETTINGS.md: every setting with default, range and meaning."""
    lines = ["# Settings", "", _data()["preface"].strip(), ""]
    for section, members in sections().items():
        lines += [f"## {section}", "", _data()[section]["about"], ""]
        lines += ["| key | default | unit | allowed | meaning |", "|---|---|---|---|---|"]
        for row in members:
            default = f"`{_toml(row)}`" if row.default is not None else shown(row, None)
            cells = (f"`{row.name}`", default, row.unit, allowed(row, unit=False), row.help)
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)
