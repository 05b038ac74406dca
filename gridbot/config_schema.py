"""The rows behind the settings: what each key means, what it accepts, and how to say so.

A row joins the type and default of a core Settings field with its help, unit and range from
``settings.toml``. Everything derived from the rows lives here: conversion of a raw value, the
sentence naming what is allowed, masking, the settings page and the example file.
"""

import operator
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cache, partial
from pathlib import Path

import msgspec

from gridbot.core.numbers import NumberError, parse_decimal, plain
from gridbot.core.settings import Settings

Value = Decimal | int | float | bool | str | None

MASK = "***"
TEXT_SHOWN_MAX = 60
TRUE_FALSE = {"true": True, "yes": True, "on": True, "1": True}
TRUE_FALSE |= {"false": False, "no": False, "off": False, "0": False}
BOUNDS = {
    "min": ("at least", operator.ge),
    "above": ("above", operator.gt),
    "max": ("at most", operator.le),
    "below": ("below", operator.lt),
}

_SECRET_NAME = re.compile("key|secret|token|password|passphrase", re.IGNORECASE)
_LONG_WORD = re.compile(r"[A-Za-z0-9+/=_.~-]{24,}")


class TomlFloat(str):
    """A TOML float as written: exact, shown as typed, and not to be confused with text."""


class Refused(ValueError):
    """A value its row does not accept; the message says what would be right."""


class Row(msgspec.Struct, frozen=True):
    """One setting. ``unset`` is what happens without a value, empty where there is always one."""

    section: str
    name: str
    number: type | None
    choices: tuple[str, ...]
    default: Value
    bounds: dict[str, Decimal]
    help: str
    unit: str = ""
    format: str = ""
    unset: str = ""
    example: object = None

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def env_name(self) -> str:
        return f"GRIDBOT_{self.section}_{self.name}".upper()

    @property
    def private(self) -> bool:
        """Withheld from the engine, which writes its settings to disk: secrets and places."""
        return self.format in ("path", "file_path", "url", "text") or is_secret_name(self.name)


@cache
def _data() -> dict[str, typing.Any]:
    text = Path(__file__).with_name("settings.toml").read_text(encoding="utf-8")
    return tomllib.loads(text, parse_float=Decimal)


@cache
def sections() -> Mapping[str, list[Row]]:
    """The rows of each section, in the order of the Settings structs."""
    return {
        section: [_row(section, struct, *field) for field in typing.get_type_hints(struct).items()]
        for section, struct in typing.get_type_hints(Settings).items()
    }


@cache
def rows() -> Mapping[str, Row]:
    """Every setting by "section.key", in the same order."""
    return {row.key: row for members in sections().values() for row in members}


def _row(section: str, struct: type, name: str, hint: typing.Any) -> Row:
    parts = _leaves(hint)
    number = next((kind for kind in (bool, int, float, Decimal) if kind in parts), None)
    words, about = tuple(one for one in parts if isinstance(one, str)), dict(_data()[section][name])
    bounds = {bound: Decimal(about.pop(bound)) for bound in BOUNDS if bound in about}
    return Row(section, name, number, words, getattr(struct(), name), bounds, **about)


def _leaves(hint: typing.Any) -> list[typing.Any]:
    parts = typing.get_args(hint)
    return [leaf for part in parts for leaf in _leaves(part)] if parts else [hint]


# ---- what is accepted


def convert(row: Row, raw: object, from_text: bool = False) -> Value:
    """``raw`` as the row's type, or Refused. ``from_text``: environment and flags, all text.
    An empty text takes an optional setting back to "not set".
    """
    value: Value = None
    counts = row.number in (int, float, Decimal)
    if isinstance(raw, str) and not isinstance(raw, TomlFloat):
        text, form = raw.strip(), row.format and _data()["formats"][row.format]["pattern"]
        if not text and row.unset:
            return None
        if text in row.choices or (form and re.fullmatch(form, text)):
            return text
        if counts and re.fullmatch(r"[+-]?\d*,\d+", text):
            raise Refused(f"use a dot: {text.replace(',', '.')}")
        if row.number in (int, float) and not from_text:
            raise Refused(f"must be {allowed(row)}, without quotes")
        if row.number is bool and from_text:
            value = TRUE_FALSE.get(text.lower())
    if isinstance(raw, bool):
        value = raw if row.number is bool else None
    elif counts and isinstance(raw, int | str):
        value = _number(row, raw)
    if value is None:
        raise Refused(f"must be {allowed(row)}")
    return value


def _number(row: Row, raw: int | str) -> Value:
    if row.number is int and isinstance(raw, str) and not re.fullmatch(r"\s*[+-]?[0-9_]+\s*", raw):
        return None
    try:
        value = parse_decimal(raw)
    except NumberError:
        return None
    if not all(BOUNDS[name][1](value, bound) for name, bound in row.bounds.items()):
        return None
    return value if row.number is Decimal else int(value) if row.number is int else float(value)


def allowed(row: Row, unit: bool = True) -> str:
    """What the row accepts, as it follows "must be"."""
    if row.number is bool:
        return "true or false"
    if row.number is None:
        words = "one of " + ", ".join(row.choices)
        return words if row.choices else str(_data()["formats"][row.format]["help"])
    limits = " and ".join(f"{BOUNDS[name][0]} {plain(bound)}" for name, bound in row.bounds.items())
    if {"min", "max"} <= row.bounds.keys():
        limits = f"from {plain(row.bounds['min'])} to {plain(row.bounds['max'])}"
    kind = "a whole number" if row.number is int else "a number"
    measured = f" ({row.unit})" if unit and row.unit else ""
    return f"{kind} {limits}{measured}" + "".join(f' or "{word}"' for word in row.choices)


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
    if isinstance(raw, int):
        # Python refuses to print integers of thousands of digits, which hexadecimal TOML can hold.
        return str(raw).lower() if abs(raw) < 10**19 else "too long"
    if isinstance(raw, str):
        return masked(raw) if isinstance(raw, TomlFloat) else f'"{masked(raw)}"'
    return "a table" if isinstance(raw, dict) else "a list" if isinstance(raw, list) else "a date"


def shown(row: Row, value: Value) -> str:
    """An accepted value for people; what stands in for it where it is not set."""
    if value is None:
        return f"not set ({row.unset})"
    if is_secret_name(row.key):
        return MASK
    if isinstance(value, str):
        return value if row.format in ("path", "file_path") else masked(value)
    return _figure(value)


def _figure(value: bool | float | Decimal) -> str:
    return str(value).lower() if isinstance(value, bool) else plain(Decimal(str(value)))


def columns(table: Sequence[tuple[str, ...]]) -> list[str]:
    """The lines of a table, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in table]


# ---- pages generated from the rows


def _page(name: str) -> str:
    page = _data()["pages"][name]
    text: str = page["start"]
    for section, members in sections().items():
        text += page["section"].format(section=section, about=_data()[section]["about"])
        for row in members:
            value: typing.Any = row.example if row.default is None else row.default
            text += page["unset" if row.default is None else "row"].format(
                row=row, toml=f'"{value}"' if isinstance(value, str) else _figure(value),
                allowed=allowed(row), limits=allowed(row, unit=False),
            )  # fmt: skip
    return text


example_toml = partial(_page, "example")  # every key with its meaning, its default behind a #
settings_markdown = partial(_page, "markdown")  # docs/SETTINGS.md
