"""What Kraken calls assets and pairs, and which pair a spelling means.

Kraken has an id (XXBT), an altname (XBT) and a modern name (BTC) for an asset, and its pair keys
follow no rule: they are looked up, never built. We speak modern names, requests carry altnames.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple

from gridbot.exchange.instruments import SUGGESTIONS_MAX, UnknownPair, asset_name
from gridbot.exchange.kraken.answers import AssetNames, PairNames

LEAD = re.compile("^[XZ]")
SEPARATORS = str.maketrans("-_: ", "////")


class Listing(NamedTuple):
    """One pair under all its names; ``pair`` is the modern one."""

    pair: str
    altname: str
    key: str
    base: str
    quote: str
    status: str


class Names:
    """The tables of Assets and AssetPairs."""

    def __init__(self, assets: Mapping[str, AssetNames], pairs: Mapping[str, PairNames]) -> None:
        self._modern = {key: _modern(one.altname) for key, one in assets.items()}
        self._given: dict[str, Listing] = {}  # by what Kraken itself calls a pair
        self._made: dict[str, set[Listing]] = {}  # by what its assets may be called
        aliases = {key: {key, one.altname, self._modern[key]} for key, one in assets.items()}
        for key, pair in pairs.items():
            if pair.aclass_base != "currency":
                continue
            base, quote = self.asset(pair.base), self.asset(pair.quote)
            listing = Listing(f"{base}/{quote}", pair.altname, key, base, quote, pair.status)
            self._given |= dict.fromkeys((key, pair.altname, pair.wsname, listing.pair), listing)
            for left in aliases.get(pair.base, {pair.base}):
                for right in aliases.get(pair.quote, {pair.quote}):
                    self._made.setdefault(f"{left}/{right}", set()).add(listing)
                    self._made.setdefault(left + right, set()).add(listing)

    def asset(self, key: str) -> str:
        """The modern name of the asset with this id; one not listed is its own name."""
        return self._modern.get(key) or _modern(key)

    def given(self, name: str) -> Listing | None:
        """The pair Kraken itself calls so, if it is listed."""
        return self._given.get(name)

    def resolve(self, spelling: str) -> Listing:
        """The pair meant by ``spelling``; raises UnknownPair with suggestions."""
        wanted = spelling.strip().upper().translate(SEPARATORS)
        if wanted in self._given:
            return self._given[wanted]
        found = self._made.get(wanted) or set().union(
            *(self._made.get(one, ()) for one in _shortened(wanted))
        )
        found = {one for one in found if one.status == "online"} or found
        if len(found) == 1:
            return found.pop()
        names = sorted(one.altname for one in found)
        if not found:
            near = difflib.get_close_matches(wanted, self._made, n=12, cutoff=0.5)
            names = list(dict.fromkeys(one.pair for key in near for one in self._made[key]))
        hint = f"did you mean {' or '.join(names[:SUGGESTIONS_MAX])}?" if names else "see its site"
        raise UnknownPair(f"Kraken lists no pair {spelling!r}; {hint}")


def _modern(name: str) -> str:
    return asset_name(name) if name.isupper() else name  # case means something in AAPLx


def _shortened(wanted: str) -> Iterator[str]:
    """Readings of ``wanted`` with one leading X or Z taken off either side: XDOGEZUSD."""
    cuts = [(wanted[:at], wanted[at:]) for at in range(1, len(wanted))]
    for base, quote in [tuple(wanted.split("/", 1))] if "/" in wanted else cuts:
        for left, right in product({base, LEAD.sub("", base)}, {quote, LEAD.sub("", quote)}):
            yield f"{left}/{right}"
