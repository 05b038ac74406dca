"""Commands for the engine's shell instead of its core: they change no trading state, and nothing of
them is journalled.

``speed`` paces a simulated market until the next start, ``reconcile`` compares the account with the
books at once, ``stop`` ends the process orderly; orders stay.
"""

from decimal import Decimal
from typing import Any

from gridbot.core.answers import Refusal
from gridbot.core.numbers import NumberError, parse_decimal, plain
from gridbot.core.records import Ack, Command
from gridbot.engine.boot import OpenEngine

ACTIONS = ("speed", "reconcile", "stop")
SPEED_MIN, SPEED_MAX = Decimal("0.1"), Decimal(3600)
RECONCILE_GUARD_SECONDS = 30.0


class Shell:
    """Answers what is not for the core. ``stopping`` tells that it was asked to stop."""

    stopping = False
    _reconciled_at = float("-inf")

    def serve(self, opened: OpenEngine, command: Command, now: float) -> Ack | None:
        """The answer to a command of the shell, None for one of the core. ``now``: seconds of a
        clock that never goes back."""
        if command.action not in ACTIONS:
            return None
        try:
            return Ack(command.id, True, self._do(opened, command.action, command.args, now))
        except Refusal as refusal:
            return Ack(command.id, False, str(refusal), refusal.code)

    def _do(self, opened: OpenEngine, action: str, args: dict[str, Any], now: float) -> str:
        if action == "stop":
            self.stopping = True
            return f"stopping; {opened.engine.brain.registry.resting} orders stay open"
        if action == "speed":
            return _set_speed(opened, args)
        ago = now - self._reconciled_at
        if ago < RECONCILE_GUARD_SECONDS:
            raise Refusal("E18", f"reconciled {ago:.0f}s ago")
        self._reconciled_at = now
        opened.engine.reconcile_next()
        return "orders and balances are compared at the next poll"


def _set_speed(opened: OpenEngine, args: dict[str, Any]) -> str:
    if opened.engine.brain.settings.run.mode != "sim":
        raise Refusal("E90", "the engine is live; speed is for simulation")
    try:
        speed = parse_decimal(str(args.get("value")), "speed")
    except NumberError:
        raise Refusal("E11", f'speed needs a number, got "{args.get("value")}"') from None
    if not SPEED_MIN <= speed <= SPEED_MAX:
        raise Refusal("E14", f"speed {plain(speed)} is outside {SPEED_MIN} to {SPEED_MAX}")
    opened.feed.speed = float(speed)
    return f"{plain(speed)} simulated seconds per second"
