"""The pairs a simulation knows without asking Kraken, found by any spelling of their assets.

The table (``instruments.json``) holds values recorded from Kraken in 2026 and, where that year is
missing, in December 2024. They change; a live engine reads its own at every start. Pairs and
assets carry their modern names (BTC/USD, DOGE/EUR); old names and Kraken's internal ones (XBT,
XXBT, XDG, ZUSD ...) are spellings of the same thing.
"""

import difflib
import json
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from gridbot.core.numbers import floor_to_step, quantum
from gridbot.core.records import Instrument
from gridbot.exchange.markets import VOLUME_DECIMALS, Market

DEFAULT_PAIR = "BTC/USD"  # what is simulated unless a pair is named
SEPARATORS = str.maketrans("", "", "/-_: ")
COST_DECIMALS_INFERRED = 8
SUGGESTIONS_MAX = 3


class UnknownPair(ValueError):
    """No pair of this spelling; the message suggests the nearest ones."""


def find_instrument(spelling: str) -> Instrument:
    """The instrument meant by ``spelling``; raises UnknownPair with suggestions."""
    return _row(spelling)[0]


def start_price(spelling: str) -> Decimal:
    """A plausible price to start a simulated market of this pair with; raises UnknownPair."""
    return _row(spelling)[1]


def asset_name(spelling: str) -> str:
    """The modern name of an asset ("XXBT" is BTC); one that is not listed is its own name."""
    return _asset_names().get(spelling.strip().upper(), spelling.strip().upper())


def known_pairs() -> list[str]:
    """The modern names of all listed pairs."""
    return [row[0] for row in _table()["pairs"]]


def infer_instrument(
    market: Market, order_size: Decimal, pair: str = "BASE/QUOTE"
) -> tuple[Instrument, str]:
    """An instrument that fits a recording, and a sentence saying what was assumed.

    ``order_size`` in quote. The tick is the last decimal of the data; the minimums stay a hundred
    times below one order, so that the price may rise a lot before an order is too small.
    """
    base, _, quote = pair.partition("/")
    tick = quantum(market.price_decimals)
    volume = order_size / (market.price * tick)
    smallest = Decimal(1).scaleb(max(volume.adjusted() - 2, -VOLUME_DECIMALS))
    instrument = Instrument(
        pair=pair,
        base=asset_name(base),
        quote=asset_name(quote),
        price_decimals=market.price_decimals,
        tick_size=tick,
        volume_decimals=VOLUME_DECIMALS,
        cost_decimals=COST_DECIMALS_INFERRED,
        min_volume=smallest,
        min_cost=floor_to_step(order_size / 100, quantum(COST_DECIMALS_INFERRED)),
    )
    sentence = (
        f"Pair rules inferred from the data: price step {tick:f}, volume step "
        f"{quantum(VOLUME_DECIMALS):f}, smallest order {smallest:f} {instrument.base}."
    )
    return instrument, sentence


@cache
def _table() -> dict[str, Any]:
    text = resources.files("gridbot.exchange").joinpath("instruments.json").read_text("utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


@cache
def _asset_names() -> dict[str, str]:
    spellings = {name: name for name in _table()["assets"]}
    for name, others in _table()["assets"].items():
        spellings |= dict.fromkeys(others, name)
    return spellings


@cache
def _rows_by_spelling() -> dict[str, tuple[Instrument, Decimal]]:
    """Every spelling of base and quote written together, without a separator."""
    found: dict[str, tuple[Instrument, Decimal]] = {}
    aliases = {name: [name, *others] for name, others in _table()["assets"].items()}
    for row in _table()["pairs"]:
        entry = _entry(row)
        for base in aliases[entry[0].base]:
            for quote in aliases[entry[0].quote]:
                clash = found.setdefault(base + quote, entry)
                assert clash is entry, f"{base + quote} means {clash[0].pair} and {row[0]}"
    return found


def _entry(row: list[Any]) -> tuple[Instrument, Decimal]:
    named = dict(zip(_table()["columns"], row, strict=True))
    base, _, quote = named["pair"].partition("/")
    for key in ("tick_size", "min_volume", "min_cost", "start_price"):
        named[key] = Decimal(named[key])
    begin: Decimal = named.pop("start_price")
    return Instrument(base=base, quote=quote, **named), begin


def _row(spelling: str) -> tuple[Instrument, Decimal]:
    wanted = spelling.upper().translate(SEPARATORS)
    rows = _rows_by_spelling()
    if wanted in rows:
        return rows[wanted]
    near = difflib.get_close_matches(wanted, rows, n=12, cutoff=0.5)
    pairs = list(dict.fromkeys(rows[key][0].pair for key in near))[:SUGGESTIONS_MAX]
    hint = f"did you mean {', '.join(pairs)}?" if pairs else f"known are {', '.join(known_pairs())}"
    raise UnknownPair(f"pair {spelling!r} is not known to the simulation; {hint}")
