"""What machines measure by: the price, how far orders reach, the glyphs of the two assets."""

from decimal import Decimal
from typing import NamedTuple

from gridbot.engine.status import OrderStatus, Status
from gridbot.tui.factory.contract import Scene

MONEY = "$"


class Market(NamedTuple):
    """What all machines measure by: mid price, distances in percent, letters, engine's time."""

    mid: Decimal | None
    entry_pct: float
    profit_pct: float
    quote: str
    base: str
    now: float


def market_of(scene: Scene) -> Market:
    """The market of a scene, so far as it is known."""
    status = scene.status
    if status is None:
        return Market(None, 1.0, 1.0, MONEY, "B", scene.engine_now)
    base, quote = letters(status)
    settings = status.settings
    reach = float(settings.entry_pct), float(settings.profit_pct)
    return Market(status.price.mid, *reach, quote, base, scene.engine_now)


def letters(status: Status) -> tuple[str, str]:
    """One glyph for the base asset, its first letter, and one for the quote asset: money is $."""
    base = next((one for one in status.pair.base if one.isascii() and one.isalnum()), "B")
    return base.upper(), MONEY


def nearness(order: OrderStatus, market: Market) -> float:
    """0 as far as when it was placed or farther, 1 at the price."""
    if not market.mid:
        return 0.0
    far = abs(float(order.price / market.mid) - 1) * 100
    reach = market.entry_pct if order.role == "entry" else market.profit_pct
    return max(0.0, 1.0 - far / max(reach, 0.01))
