"""What the options of a command line chose, and the configuration that comes of it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # reading the schema takes time that `--help` does not have
    from gridbot.config import LoadedConfig

# The options that are nothing but a shorter way to write --set.
KEYS = {
    "data_dir": "persistence.data_dir",
    "profile": "run.profile",
    "seed": "sim.seed",
    "sticky_ratio": "slots.initial_sticky_ratio",
    "pair": "exchange.pair",
    "mode": "run.mode",
    "tier": "exchange.tier",
    "funds_quote": "funds.quote",
    "funds_base": "funds.base",
    "initial_slots": "slots.initial_slots",
    "order_size": "grid.order_size",
}


class Choices(NamedTuple):
    """The configuration file asked for, what --set gave, and the texts of the options in KEYS."""

    config: Path | None
    settings: tuple[tuple[str, str], ...]
    options: Mapping[str, str]

    def load(self) -> "LoadedConfig":
        """The configuration, in exact arithmetic; ConfigError names the options as typed."""
        from gridbot.config import load
        from gridbot.core.numbers import use_exact_arithmetic

        use_exact_arithmetic()
        typed = {KEYS[name]: f"--{name.replace('_', '-')}" for name in self.options}
        given = [(KEYS[name], text) for name, text in self.options.items()]
        return load(self.config, os.environ, [*self.settings, *given], typed)
