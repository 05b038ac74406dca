"""What goes wrong, how often, and how often it did. Every fault has a generator of its own, so one
switched on or off leaves the draws of the others alone.
"""

import tomllib
from collections.abc import Mapping
from importlib import resources
from random import Random
from typing import Any

_FILE = resources.files("gridbot.exchange.emulator").joinpath("faults.toml")
TABLE: dict[str, dict[str, Any]] = tomllib.loads(_FILE.read_text("utf-8"))


class UnknownFault(ValueError):
    """A fault of no known name, or a rate that is not between 0 and 1."""


class Faults:
    """Chances from 0 to 1 by name; raises UnknownFault."""

    def __init__(self, rates: Mapping[str, Any], seed: int) -> None:
        self.random = Random(f"{seed}:details")
        self._draws = {name: Random(f"{seed}:{name}") for name in TABLE}
        self.fired = dict.fromkeys(TABLE, 0)
        self.change(rates)

    def change(self, rates: Mapping[str, Any]) -> None:
        """Replace all rates; what is not named is off."""
        self.rates = {name: _checked(name, rate) for name, rate in rates.items()}

    def fires(self, name: str) -> bool:
        """Draw once for this fault, and count."""
        fired = self._draws[name].random() < self.rates.get(name, 0.0)
        self.fired[name] += fired
        return fired


def _checked(name: str, rate: Any) -> float:
    if name not in TABLE:
        raise UnknownFault(f"there is no fault {name!r}; --fault list names them all")
    try:
        chance = float(rate)
    except (TypeError, ValueError):
        chance = -1.0
    if not 0 <= chance <= 1:
        raise UnknownFault(f"{name}: the rate '{rate}' is not a number from 0 to 1")
    return chance
