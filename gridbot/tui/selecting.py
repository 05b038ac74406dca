"""Moving, jumping, finding, copying: what a body leaves to the screen works on the slots."""

from typing import TYPE_CHECKING

import msgspec

from gridbot.engine.actions import CommandError
from gridbot.engine.status import SlotStatus

if TYPE_CHECKING:
    from gridbot.tui.controls import Controls


class Selecting:
    """Acts on the selected slot; a body's own act of the same name goes before."""

    def __init__(self, controls: "Controls") -> None:
        self._view, self._controls = controls.view, controls
        self._sought = ""

    def do_move(self, by: int, count: int = 1) -> None:
        self._view.move(by * count)

    def do_side(self, by: int, count: int = 1) -> None:
        self._view.move(by * count)

    do_step_slot = do_side

    def do_page(self, halves: int, count: int = 1) -> None:
        self._controls.act("move", by=max(self._controls.page_rows // 2, 1) * halves, count=count)

    def do_last(self, count: int | None = None) -> None:
        if count is None:
            self._controls.act("move", by=100_000)
        elif not self._view.select(count):
            raise CommandError("E30", f"no slot {count}")

    def do_edge(self, at: str) -> None:
        """To the top, middle or bottom of a body that does not say what it shows: of all slots."""
        slots = self._view.slots
        place = {"top": 0, "middle": len(slots) // 2, "bottom": len(slots) - 1}[at]
        if slots:
            self._view.selected = slots[place].id

    def do_centre(self) -> None:
        pass  # nothing scrolls

    def do_jump(self, slot: int) -> None:
        self._view.select(slot)

    def do_jump_back(self) -> None:
        view = self._view
        if view.came_from is None or not view.select(view.came_from):
            raise CommandError("E30", "no slot to go back to")
        view.came_from = self._controls.before

    def do_alarm_next(self) -> str:
        """Select the slots of the symptoms, worst first, one after the other."""
        found = [one for one in self._view.symptoms if one.slot is not None]
        if not found:
            return self._view.symptoms[0].text
        at = next((i for i, one in enumerate(found) if one.slot == self._view.selected), -1)
        chosen = found[(at + 1) % len(found)]
        self._view.select(chosen.slot or 0)
        return f"{chosen.name}: {chosen.text}   {(at + 1) % len(found) + 1} of {len(found)}"

    def do_find(self, text: str) -> None:
        self._sought = text.lower()
        self.do_find_next(1)

    def do_find_next(self, by: int) -> None:
        slots, size = self._view.slots, len(self._view.slots)
        if not self._sought:
            raise CommandError("E83", "nothing to find yet: / asks for a text")
        around = (slots[(self._view.index + by * step) % size] for step in range(1, size + 1))
        found = next((slot for slot in around if self._sought in _words(slot)), None)
        if found is None:
            raise CommandError("E83", f"not found: {self._sought}")
        self._view.selected = found.id

    def do_mark(self) -> None:
        if self._view.selected is not None:
            self._view.marked ^= {self._view.selected}

    def do_copy(self, what: str) -> str:
        slot = self._view.slot
        if slot is None:
            raise CommandError("E30", "no slots yet: + adds one")
        orders = [*slot.orders, *slot.recoveries]
        texts = {
            "row": _words(slot), "json": msgspec.json.encode(slot).decode(),
            "txid": " ".join(one.exchange_id for one in orders),
        }  # fmt: skip
        self._view.clipboard = texts[what]
        return f"copied the {what} of slot {slot.id}"

    def do_detail(self) -> None:
        self._view.drawer = not self._view.drawer

    def do_detail_open(self) -> None:
        """The drawer; from the drawer, or where there is none, the slots view."""
        if self._view.name == "factory" and not self._view.drawer:
            self._view.drawer = True
        else:
            self._controls.act("view", name="slots")

    def do_pane(self, by: int = 1) -> None:
        self.do_detail()

    def do_ledger(self, words: str = "") -> None:
        """Open the ledger with a filter, from wherever it is asked for."""
        self._controls.act("view", name="ledger")
        if words:
            self._controls.act("ledger", words=words)

    def do_ledger_clear(self) -> None:
        self._controls.act("view", name="ledger")
        self._controls.act("ledger_clear")

    def do_export(self, **words: object) -> str | None:
        """The ledger's body writes every kind of file."""
        export = getattr(self._controls.body_of("ledger"), "do_export", None)
        if export is None:
            raise CommandError("E88", "this view cannot export")
        told: str | None = export(**words)
        return told


def _words(slot: SlotStatus) -> str:
    profit = slot.realised + slot.write_offs
    return f"{slot.id} {slot.alias} {slot.kind} {slot.phase} {profit:+}".lower()
