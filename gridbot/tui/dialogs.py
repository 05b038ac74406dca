"""The question before a risky act, and the box around whatever lies over the deck. Pure text.

A question defaults to nothing: only its own keys count, and none in the first quarter second, so
that a key meant for the deck cannot answer it. It closes when what it asks about changes.
"""

from collections.abc import Sequence
from decimal import Decimal
from textwrap import wrap

from gridbot.core.numbers import HUNDRED
from gridbot.engine.actions import Action
from gridbot.engine.status import SlotStatus, Status
from gridbot.tui.cells import Line, fit, money
from gridbot.tui.sending import Order
from gridbot.tui.view import View

DEAF_SECONDS = 0.25
BIG_CHANGE_PCT = 50
MANY_SLOTS = 3
LISTED_MAX = 12
DIALOG_CELLS = 64
NAMED = ("suggestion", "entry_pct", "profit_pct", "band", "kind")  # in a question, and may change
PLACES = {"sim": "SIM market", "paper": "PAPER account", "live": "LIVE account"}


class Question:
    """An act that waits for the operator's word; ``orders``: the arguments of each part of it."""

    def __init__(self, row: Action, orders: list[Order], lines: Sequence[str], view: View) -> None:
        status = view.live
        assert status is not None, "a question is about what is on the screen"
        self.row, self.orders = row, orders
        self.text = row.ask.format_map(_words(orders, status))
        self.lines = [*lines, f"{PLACES[status.mode]}, {status.pair.name}"]
        self.word = status.pair.name if row.confirm == "typed" else ""
        self.yes, self.no = ("y", "n") if row.confirm == "low" else ("Enter", "Esc")
        self.typed = self.error = ""
        self.opened_at = view.now
        self._about = _about(row, orders, status)

    def key(self, name: str, now: float) -> bool | None:
        """True: do it; False: leave it; None: not answered yet."""
        if 0 <= now - self.opened_at < DEAF_SECONDS:
            return None
        if name in ("Esc", self.no):
            return False
        if name in ("Enter", self.yes):
            if self.typed == self.word:
                return True
            self.error = f"E10: type {self.word} to go on"
        elif self.word and name == "Backspace":
            self.typed = self.typed[:-1]
        elif self.word and len(name) == 1:
            self.typed = (self.typed + name)[: len(self.word)]
        else:
            self.opened_at = now  # text meant for elsewhere: its Enter must not say yes
        return None

    def outdated(self, view: View) -> bool:
        """Whether what it asks about is no longer as it was."""
        return view.live is not None and _about(self.row, self.orders, view.live) != self._about

    def draw(self, width: int) -> list[Line]:
        rows: list[Line] = [[], *_wrap(self.text, width - 6, "title"), []]
        rows += [row for one in self.lines for row in _wrap(one, width - 6, "text")] + [[]]
        if self.word:
            asked = [("  type ", "dim"), (self.word, "title"), (": ", "dim")]
            rows += [[*asked, (self.typed, "text"), ("▓", "accent")], [(f"  {self.error}", "bad")]]
        yes, no = f"  {self.yes}  {self.row.yes}", f"     {self.no}  {self.row.no}"
        return box("CONFIRM", [*rows, [(yes, "accent"), (no, "text")], []], width)


def question_for(
    row: Action, orders: list[Order], view: View, reasons: Sequence[str] = ()
) -> Question | None:
    """The question an act must pass first, or None; the engine's own is about its ``reasons``, and
    its ``orders`` are the forced ones."""
    if reasons:
        more = [f"and {len(reasons) - LISTED_MAX} more"] if len(reasons) > LISTED_MAX else []
        return Question(row, orders, [*reasons[:LISTED_MAX], *more, ""], view)
    status = view.live
    if row.confirm == "none" or status is None or not _risky(row, orders, view, status):
        return None
    words = _words(orders, status)
    lines = [line.format_map(words) for line in row.detail]
    return Question(row, orders, lines + _odds(row, orders[0], status), view)


def _odds(row: Action, args: Order, status: Status) -> list[str]:
    """What the bet is, before a cycle slot is added."""
    kind = args.get("kind", status.auto_slots.get("kind"))
    odds = status.governor.get("odds") if (row.engine, kind) == ("add", "cycle") else None
    return [] if odds is None else [odds.text, *[f"▲ {odds.warning}"] * bool(odds.warning)]


def _risky(row: Action, orders: list[Order], view: View, status: Status) -> bool:
    args, many = orders[0], len(orders) > MANY_SLOTS
    match row.confirm_if:
        case "many":
            return many
        case "many_or_caution":
            many = args.get("count", 1) > MANY_SLOTS
            return many or status.capacity.band == "caution" or bool(_odds(row, args, status))
        case "big_change":
            old, new = getattr(status.settings, row.now), Decimal(args["value"])
            return bool(abs(new - old) * HUNDRED > BIG_CHANGE_PCT * old)
        case "off":
            return args.get("name") == "off"
        case "leave" | "leave_live":
            mode = "live" if row.confirm_if == "leave_live" else "paper"
            return not view.attached and status.mode == mode and bool(status.slots)
    return True


def _meant(orders: list[Order], status: Status) -> list[SlotStatus]:
    """The slots that arguments name, by number or by an order of theirs."""
    names = {str(one.get("slot", one.get("target", ""))).partition(".")[0] for one in orders}
    return [slot for slot in status.slots if str(slot.id) in names]


def _about(row: Action, orders: list[Order], status: Status) -> object:
    """What must stay as it is while the question is open: run state, the slots and what waits, and
    of the rest what the question names. No more: it should not close for what it is not about."""
    slots = [
        (slot.id, slot.kind, slot.phase, [one.local_id for one in slot.recoveries])
        for slot in _meant(orders, status)
    ]
    words = _words(orders, status)
    named = [words[name] for name in NAMED if f"{{{name}}}" in row.ask]
    return status.engine.state == "halted", slots, named


def _words(orders: list[Order], status: Status) -> dict[str, object]:
    bank, settings, args = status.capacity, status.settings, orders[0]
    words: dict[str, object] = {
        "orders": bank.used, "band": bank.band.upper(), "headroom": bank.headroom,
        "quote": status.pair.quote, "count": 1,
        "kind": status.auto_slots.get("kind", "default"), "target": "the oldest",
        "reason": status.engine.reason,
        "suggestion": _suggestion(args, status), "entry_pct": settings.entry_pct,
        "profit_pct": settings.profit_pct, **args,
    }  # fmt: skip
    slots = _meant(orders, status)
    if len(orders) > 1 or len(slots) > 1:
        words["slot"] = f"{len(slots)} slots ({_listed(slots)})"
    elif slots:
        words |= _slot_words(slots[0])
    return words


def _suggestion(args: Order, status: Status) -> str:
    """What the named suggestion, or the newest that is pending, would do."""
    found = [one for one in status.governor.get("suggestions", ()) if one.state == "pending"]
    named = [one for one in found if one.id == args.get("id", one.id)]
    if not named:
        return "the suggestion"
    ids = " ".join(map(str, named[0].slots))
    return f"suggestion {named[0].id}: slots {ids} become {named[0].kind}; {named[0].reason}"


def _listed(slots: list[SlotStatus]) -> str:
    ids = " ".join(str(slot.id) for slot in slots[:LISTED_MAX])
    return f"{ids} …" if len(slots) > LISTED_MAX else ids


def _slot_words(slot: SlotStatus) -> dict[str, object]:
    return {
        "slot": f"slot {slot.id} {slot.alias}".strip() + f" [{slot.kind[:1].upper()}]",
        "slot_orders": len(slot.orders), "slot_recoveries": len(slot.recoveries),
        "slot_unrealised": money(slot.unrealised), "slot_realised": money(slot.realised),
        "slot_trips": slot.round_trips,
    }  # fmt: skip


def _wrap(text: str, width: int, style: str) -> list[Line]:
    rows = wrap(text, max(width, 1), break_on_hyphens=False) or [""]
    return [[(f"  {row}", style)] for row in rows]


def box(title: str, rows: Sequence[Line], width: int, style: str = "accent") -> list[Line]:
    inner = width - 2
    head = f"─ {title} "[:inner] if title else ""
    side = ("│", style)
    return [
        [(f"┌{head:─<{max(inner, 0)}}┐", style)],
        *([side, *fit(row, inner), side] for row in rows), [(f"└{'─' * inner}┘", style)],
    ]  # fmt: skip
