"""What is refused before a question is asked, or anything sent: what the picture tells already.

The engine checks again; here the operator is spared a question whose answer would be no.
"""

from collections.abc import Sequence
from decimal import Decimal

from gridbot.core.governor import Suggestion
from gridbot.core.numbers import plain
from gridbot.engine.actions import Action, CommandError
from gridbot.engine.status import Status
from gridbot.tui.sending import Order

ANSWERS = ("governor.approve", "governor.dismiss")


def check(row: Action, args: Order, status: Status | None) -> None:
    """Raises CommandError: E15, E51, E52, E55, in the engine's words."""
    if status is None:
        return
    if row.id == "set.profit":
        value, floor = Decimal(args["value"]), status.settings.fee_floor_pct
        if value < floor:
            raise CommandError("E15", f"{plain(value)} is under the fee floor {plain(floor)}")
    if row.id in ANSWERS and (known := _suggestions(status)):
        _check_answer(args.get("id"), known)


def _check_answer(number: int | None, known: Sequence[Suggestion]) -> None:
    if number is None:
        names = [f"{one.id} ({one.kind}, {one.source})" for one in known if one.state == "pending"]
        if len(names) > 1:
            raise CommandError("E55", f"say which: {', '.join(names)}")
        return
    named = next((one for one in known if one.id == number), None)
    if named is None:
        raise CommandError("E51", f"no suggestion {number}")
    if named.state != "pending":
        raise CommandError("E52", f"suggestion {number} is {named.state}")


def answered(chosen: int | None, status: Status | None) -> Order:
    """Which suggestion an answer without a number is about: the ``chosen`` one if it waits for an
    answer, else the only one that does. It goes into the order: another may come meanwhile."""
    if status is None:
        return {}
    waits = [one.id for one in _suggestions(status) if one.state == "pending"]
    if chosen in waits:
        return {"id": chosen}
    return {"id": waits[0]} if len(waits) == 1 else {}


def _suggestions(status: Status) -> Sequence[Suggestion]:
    found: Sequence[Suggestion] = status.governor.get("suggestions", ())
    return found
