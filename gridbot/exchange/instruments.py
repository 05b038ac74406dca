"""The pairs a simulation knows without asking Kraken, found by any spelling of their assets.

The table (``instruments.json``) holds values recorded from Kraken in 2026 and, where that year is
missing, in December 2024. They change; a live engine reads its own at every start. Pairs and
assets carry their modern names (BTC/USD, DOGE/EUR); old names and Kraken's internal ones (XBT,
XXBT, XDG, ZUSD ...) are spellings of the same thing.
"""

import difflib
from decimal import Decimal
from functools import cache
from importlib import resources

import msgspec

from gridbot.core.numbers import floor_to_step, quantum
from gridbot.core.records import Instrument
from gridbot.exchange.markets import VOLUME_DECIMALS, Market

DEFAULT_PAIR = "BTC/USD"  # what is simulated unless a pair is named
SEPARATORS = str.maketrans("", "", "/-_: ")
COST_DECIMALS_INFERRED = 8
SUGGESTIONS_MAX = 3


class UnknownPair(ValueError):
    """No pair of this spelling; the message suggests the nearest ones."""


class _Pair(msgspec.Struct):
    instrument: Instrument
    start_price: Decimal


class _Table(msgspec.Struct):
    assets: dict[str, list[str]]  # other spellings by modern name
    pairs: list[_Pair]


def find_instrument(spelling: str) -> Instrument:
    """The instrument meant by ``spelling``; raises UnknownPair with suggestions."""
    return _find(spelling).instrument


def start_price(spelling: str) -> Decimal:
    """A plausible price to start a simulated market of this pair with; raises UnknownPair."""
    return _find(spelling).start_price


def asset_name(spelling: str) -> str:
    """The modern name of an asset ("XXBT" is BTC); one that is not listed is its own name."""
    wanted = spelling.strip().upper()
    return next((name for name, others in _table().assets.items() if wanted in others), wanted)


def known_pairs() -> list[str]:
    return [entry.instrument.pair for entry in _table().pairs]


def infer_instrument(
    market: Market, order_size: Decimal, pair: str = "BASE/QUOTE"
) -> tuple[Instrument, str]:
    """An instrument that fits a recording, and a sentence saying what was assumed.
    ``order_size`` in quote. The tick is the last decimal of the data; the minimums stay a hundred
    times below one order, so that the price may rise a lot before an order is too small.
    """
    base, quote = map(asset_name, pair.split("/", 1))
    tick, lot = quantum(market.price_decimals), quantum(VOLUME_DECIMALS)
    volume = order_size / (market.price * tick)
    smallest = Decimal(1).scaleb(max(volume.adjusted() - 2, -VOLUME_DECIMALS))
    min_cost = floor_to_step(order_size / 100, quantum(COST_DECIMALS_INFERRED))
    digits = (market.price_decimals, tick, VOLUME_DECIMALS, COST_DECIMALS_INFERRED)
    steps = f"price step {tick:f}, volume step {lot:f}, smallest order {smallest:f} {base}."
    rules = Instrument(pair, base, quote, *digits, smallest, min_cost)
    return rules, f"Pair rules inferred from the data: {steps}"


@cache
def _table() -> _Table:
    data = resources.files("gridbot.exchange").joinpath("instruments.json").read_bytes()
    return msgspec.json.decode(data, type=_Table)


@cache
def _spellings() -> dict[str, _Pair]:
    """Every spelling of base and quote written together, without a separator."""
    names = {name: [name, *others] for name, others in _table().assets.items()}
    return {
        base + quote: entry
        for entry in _table().pairs
        for base in names[entry.instrument.base]
        for quote in names[entry.instrument.quote]
    }


def _find(spelling: str) -> _Pair:
    wanted = spelling.upper().translate(SEPARATORS)
    known = _spellings()
    if wanted in known:
        return known[wanted]
    near = difflib.get_close_matches(wanted, known, n=12, cutoff=0.5)
    pairs = list(dict.fromkeys(known[key].instrument.pair for key in near))[:SUGGESTIONS_MAX]
    hint = f"did you mean {', '.join(pairs)}?" if pairs else f"known are {', '.join(known_pairs())}"
    raise UnknownPair(f"pair {spelling!r} is not known to the simulation; {hint}")
