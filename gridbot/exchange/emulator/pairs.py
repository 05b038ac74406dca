"""Assets and pairs under Kraken's names, and the rows that describe them.

An asset has an id (XXBT), an altname (XBT) and a modern name (BTC); so has a pair. A request may
use any of the pair's names but the old one with a slash.
"""

from decimal import Decimal
from importlib import resources
from typing import Any, NamedTuple

import msgspec

from gridbot.core.numbers import plain
from gridbot.core.records import Instrument
from gridbot.exchange.instruments import find_instrument

_FILE = resources.files("gridbot.exchange.emulator").joinpath("pairs.json")
DATA: dict[str, dict[str, Any]] = msgspec.json.decode(_FILE.read_bytes())
ASSETS: dict[str, dict[str, Any]] = {row["id"]: row for row in DATA["assets"].values()}
FEE_CURRENCY: str = DATA["pair_row"]["fee_volume_currency"]
# Volume in that currency from which a tier holds, maker and taker percent.
FEE_TIERS = [tuple(map(Decimal, row)) for row in DATA["fees"]]


class Refused(Exception):
    """Kraken says no: the text is the error string."""


class Pair(NamedTuple):
    """A pair and its names; ``base`` and ``quote`` are asset ids."""

    id: str
    altname: str
    wsname: str
    base: str
    quote: str
    rules: Instrument

    def row(self, rules: Instrument, status: str) -> dict[str, Any]:
        """Its part of the AssetPairs answer."""
        own: dict[str, Any] = {
            "altname": self.altname, "wsname": self.wsname, "base": self.base, "quote": self.quote,
            "cost_decimals": rules.cost_decimals, "pair_decimals": rules.price_decimals,
            "lot_decimals": rules.volume_decimals, "ordermin": plain(rules.min_volume),
            "costmin": plain(rules.min_cost), "tick_size": plain(rules.tick_size), "status": status,
        }  # fmt: skip
        return DATA["pair_row"] | own


def _pair(name: str, pair_id: str) -> Pair:
    base, quote = (DATA["assets"][asset] for asset in name.split("/"))
    alts = (base["altname"], quote["altname"])
    return Pair(pair_id, "".join(alts), "/".join(alts), base["id"], quote["id"],
                find_instrument(name))  # fmt: skip


PAIRS = {pair_id: _pair(name, pair_id) for name, pair_id in DATA["pairs"].items()}
_SPELLINGS = {
    name: pair
    for pair in PAIRS.values()
    for name in (pair.id, pair.altname, pair.rules.pair, pair.rules.pair.replace("/", ""))
}


def find_pair(spelling: Any) -> Pair:
    """The pair a request names; raises Refused."""
    if spelling not in _SPELLINGS:
        raise Refused("EQuery:Unknown asset pair")
    return _SPELLINGS[spelling]


def find_asset(spelling: str) -> str:
    """The id of an asset, which may have a suffix; raises Refused."""
    name, dot, suffix = spelling.partition(".")
    for modern, row in DATA["assets"].items():
        if name in (modern, row["id"], row["altname"]):
            return f"{row['id']}{dot}{suffix}"
    raise Refused("EQuery:Unknown asset")
