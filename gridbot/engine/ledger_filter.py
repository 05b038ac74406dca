"""Which ledger entries are wanted: a filter, and the words an operator writes it with.

``slot:8 type:FEE,buy -type:ROUNDING side:A cycle:14 since:24h until:2026-02-14 tx:OQK min:5``. A
type may be written as the beginning of one or several. Times are an age (5m to 365d) or an ISO time
in UTC. Error codes: E11 not a number, E13 not a whole number, E14 out of range, E19 not one of the
choices, E60 unknown type or none
left, E61 since is after until.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args

import msgspec
from msgspec.structs import replace

from gridbot.core.numbers import ZERO, NumberError, parse_decimal
from gridbot.core.records import EntryType, LedgerEntry
from gridbot.engine.actions import CommandError

TYPES: tuple[str, ...] = get_args(EntryType)
KEYS = ("slot", "type", "side", "cycle", "since", "until", "tx", "min")
AGE_SECONDS = 300, 365 * 86400
_AGE = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class LedgerFilter(msgspec.Struct, frozen=True):
    """What an entry must be; a field that is None or empty asks nothing. ``side``: the trade, A or
    B; ``since`` and ``until``: epoch seconds, inclusive; ``minimum``: in quote; ``words``: in
    capitals, anywhere in what tells of the entry; ``text``: the filter as it was written."""

    slot: int | None = None
    types: frozenset[str] = frozenset()
    side: str = ""
    cycle: int | None = None
    since: float | None = None
    until: float | None = None
    tx: str = ""
    minimum: Decimal = ZERO
    words: str = ""
    text: str = ""

    @property
    def open(self) -> bool:
        """Whether every entry passes."""
        return self == LedgerFilter(text=self.text)

    def accepts(self, entry: LedgerEntry) -> bool:
        """Whether the entry is wanted."""
        return not (
            (self.slot is not None and entry.slot_id != self.slot)
            or (self.types and entry.entry_type not in self.types)
            or (self.side and entry.trade_id != self.side)
            or (self.cycle is not None and entry.cycle != self.cycle)
            or (self.since is not None and entry.timestamp < self.since)
            or (self.until is not None and entry.timestamp > self.until)
            or (self.tx and self.tx not in f"{entry.txid}\n{entry.client_id}".upper())
            or (self.minimum and worth(entry) < self.minimum)
            or (self.words and self.words not in _told(entry))
        )

    @property
    def needles(self) -> tuple[bytes, ...]:
        """Bytes that every wanted line holds as the engine writes it: what lacks one need not be
        decoded. A default is not written, so it cannot be looked for."""
        found = [b'"slot_id":%d,' % self.slot] if self.slot else []
        found += [b'"trade_id":"%b"' % self.side.encode()] if self.side else []
        found += [b'"cycle":%d,' % self.cycle] if self.cycle else []
        found += [b'"entry_type":"%b"' % one.encode() for one in self.types if len(self.types) == 1]
        together = b"".join(one + b"," * (not one.endswith(b",")) for one in found[:3])
        return (together,) if self.slot and self.side and self.cycle else tuple(found)


def worth(entry: LedgerEntry) -> Decimal:
    """What an entry is about, in quote: cash moved, else the result, else base at its price."""
    cash = entry.credit_quote + entry.debit_quote
    base = (entry.credit_base + entry.debit_base) * entry.price
    return cash or abs(entry.realised_quote) or base


def _told(entry: LedgerEntry) -> str:
    names = f"{entry.id} {entry.entry_type} {entry.slot_id}.{entry.trade_id}.{entry.cycle}"
    return f"{names} {entry.txid} {entry.client_id} {entry.note}".upper()


def parse_filter(words: str, now: float) -> LedgerFilter:
    """The filter that ``words`` mean at ``now``, the engine's time. Raises CommandError."""
    fields: dict[str, Any] = {}
    only: set[str] = set()
    without: set[str] = set()
    for word in words.split():
        key, colon, value = word.partition(":")
        name = key.lower().lstrip("-")
        if not (colon and value) or name not in KEYS or (key.startswith("-") and name != "type"):
            wanted = " ".join(f"{one}:" for one in KEYS)
            raise CommandError("E19", f'"{word}" is no filter; there are {wanted} and -type:')
        if name == "type":
            named = without if key.startswith("-") else only
            named |= _types(value)
        elif value != "*":
            fields |= _field(name, value, now)
    types = frozenset(only or (TYPES if without else ())) - without
    if without and not types:
        raise CommandError("E60", "no type is left: each one asked for is excluded too")
    asked = LedgerFilter(**fields, types=types, text=" ".join(words.split()))
    if asked.since is not None and asked.until is not None and asked.since > asked.until:
        raise CommandError("E61", "since is after until")
    return asked


def _field(name: str, value: str, now: float) -> dict[str, Any]:
    if name in ("slot", "cycle"):
        if not re.fullmatch("[0-9]{1,9}", value):
            raise CommandError("E13", f"{name} wants a whole number")
        return {name: int(value)}
    if name == "side":
        if value.upper() not in ("A", "B"):
            raise CommandError("E19", "side is A or B")
        return {name: value.upper()}
    if name == "tx":
        return {name: value.upper()}
    if name == "min":
        return {"minimum": _amount(value)}
    return {name: _time(name, value, now)}


def _amount(value: str) -> Decimal:
    try:
        return parse_decimal(value, "min")
    except NumberError:
        raise CommandError("E11", f'min needs a number, got "{value}"') from None


def _types(value: str) -> frozenset[str]:
    found: set[str] = set()
    for word in value.upper().split(",") if value != "*" else ():
        fitting = [word] if word in TYPES else [one for one in TYPES if one.startswith(word)]
        found |= set(fitting) if word else set()
        if not fitting:
            raise CommandError("E60", f"unknown type {word}{_near(word)}")
    return frozenset(found)


def _near(word: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, TYPES, 1, 0.5)
    return f"; did you mean {near[0]}" if near else f"; types are {' '.join(TYPES)}"


def _time(name: str, value: str, now: float) -> float:
    if age := _AGE.fullmatch(value.lower()):
        seconds = int(age[1]) * _UNITS[age[2]]
        if not AGE_SECONDS[0] <= seconds <= AGE_SECONDS[1]:
            raise CommandError("E14", f"{name} {value} is outside 5m to 365d")
        return now - seconds
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        text = f"{name} wants an age such as 24h or a time such as 2026-02-14T09:00"
        raise CommandError("E19", text) from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


class Sums(msgspec.Struct):
    """What entries add up to; amounts in quote unless they say base. ``counts`` by type,
    ``results`` realised by type, ``recovery`` the part of CYCLE_PROFIT that recoveries made."""

    entries: int = 0
    quote_out: Decimal = ZERO
    quote_in: Decimal = ZERO
    base_out: Decimal = ZERO
    base_in: Decimal = ZERO
    fees_paid: Decimal = ZERO
    fees_noted: Decimal = ZERO
    recovery: Decimal = ZERO
    counts: dict[str, int] = {}
    results: dict[str, Decimal] = {}

    @property
    def fees(self) -> Decimal:
        """FEE rows, or, where the filter leaves them out, what executions note about theirs."""
        return max(self.fees_paid, self.fees_noted)

    @property
    def net(self) -> Decimal:
        """Cycles and write-offs; fees are in them already."""
        return sum(self.results.values(), ZERO)

    def copy(self) -> "Sums":
        """The sums as they stand, to be read while others are added."""
        return replace(self, counts=dict(self.counts), results=dict(self.results))

    def add(self, entries: Iterable[LedgerEntry]) -> None:
        """Count entries in."""
        for one in entries:
            kind = one.entry_type
            self.entries += 1
            self.counts[kind] = self.counts.get(kind, 0) + 1
            self.quote_out += one.debit_quote
            self.quote_in += one.credit_quote
            self.base_out += one.debit_base
            self.base_in += one.credit_base
            if one.fee_quote or one.fee_base:
                fee = one.fee_quote + one.fee_base * one.price
                if kind == "FEE":
                    self.fees_paid += fee
                else:
                    self.fees_noted += fee
            if one.realised_quote:
                self.results[kind] = self.results.get(kind, ZERO) + one.realised_quote
                if one.note.startswith("recovery"):
                    self.recovery += one.realised_quote
