"""gridbot: a grid-trading platform for Kraken spot pairs."""

__version__ = "0.1.0"
