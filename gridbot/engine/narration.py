"""Events in plain words: one short line each, for the log, the ticker and the screen.

The words stand in ``narration.toml``.
"""

import tomllib
from collections import defaultdict
from decimal import Decimal
from functools import cache
from pathlib import Path

from gridbot.core.numbers import plain
from gridbot.core.records import Event


@cache
def _texts() -> dict[str, str]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def describe(event: Event) -> str:
    """One line without the time: who, then what."""
    data = event.data.items()
    words = defaultdict(str, {k: plain(v) if isinstance(v, Decimal) else str(v) for k, v in data})
    text = _texts().get(event.kind, event.kind).format_map(words)
    who = "" if event.slot is None else f"slot {event.slot}"
    who += f".{event.trade}" if event.trade else ""
    return " ".join(f"{who + ':' if who else ''} {text}".split())
