"""A machine: one slot on the floor, its rows as keys, its gear, lanes and lamp.

Where an item stands on its lane tells how near the price is to filling it: at the left end as far
as when it was placed, at the right end filled. Items move there cell by cell, jammed ones do not.
"""

from itertools import chain
from typing import Any, NamedTuple

from gridbot.engine.status import OrderStatus, SlotStatus
from gridbot.tui.cells import money, tone
from gridbot.tui.factory.board import Board, Key
from gridbot.tui.factory.layout import Size, Spot
from gridbot.tui.factory.market import Market, nearness
from gridbot.tui.factory.tiles import GEARS, LANE_PARTS, PARTS, Frame, Item, number_of
from gridbot.tui.factory.words import label_of, lamp_of
from gridbot.tui.symptoms import JAM_SHARE, jam_share, missing_sides

PERIODS = {"S1a": 10, "S1b": 10, "S2": 5}  # ticks of a quarter turn
PULSE, LANE_PERIOD, LAMP_PERIOD = 40, 8, 20
WHEEL = 40  # ticks after which all of them repeat
LANES = {"large": 8, "medium": 7, "dense": 3}
GROWING_STEPS = 4
KINDS = {"sticky": ("S", "accent"), "cycle": ("C", "cycle")}


class Load(NamedTuple):
    """An order on a lane."""

    place: int
    target: int
    glyph: str
    words: str
    exits: bool
    fresh: bool


class Machine:
    """``step`` of growing: 0 to 3, GROWING_STEPS when it stands."""

    def __init__(self, board: Board, size: Size, spot: Spot, slot: SlotStatus) -> None:
        self.size, self.spot, self.slot = size, spot, slot
        self.chosen = self.flashing = False
        self.calm = False  # without ornaments
        self.step = GROWING_STEPS
        self._board = board
        self._market: Market | None = None
        self._parts = {name: board.place(spot.y + y, spot.x + x, width)
                       for name, y, x, width in PARTS[size.name]}  # fmt: skip
        if size.name == "dense":  # what changes with the phase stands alone
            cut = 1 + len(number_of(slot.id))
            self._parts["title"] = board.place(spot.y, spot.x, cut)
            self._parts["phase"] = board.place(spot.y, spot.x + cut, size.width - cut)
        self._lanes = {name: [board.place(spot.y + y, spot.x + x + i, 1) for i in range(width)]
                       for name, y, x, width in LANE_PARTS[size.name]}  # fmt: skip
        self._items: dict[str, Load] = {}
        self._gear, self._chevron, self._lit = 0, -1, True
        self._walker = -1  # where somebody looks for the missing side, on the lower edge
        self._lamp = ("○", "dim")
        self._look: tuple[Any, ...] = ()
        self._jam = 0.0
        self.offset = slot.id * 3

    # --- what is ------------------------------------------------------------------------

    def see(self, slot: SlotStatus, market: Market, still: bool) -> None:
        """The slot as it is now; ``still``: items stand at once where they belong."""
        self.slot, self._market = slot, market
        self._jam = jam_share(slot, market.now)
        self._lamp = lamp_of(slot, self.jammed)
        self._walker = max(self._walker, 0) if missing_sides(slot) else -1
        items, known = self._placed(slot.orders, market, still), self._items
        self._items = items
        look = (
            slot.kind, slot.phase, slot.alias, slot.paused, slot.quarantined, slot.waiting,
            len(slot.recoveries), slot.realised, slot.write_offs, self._jam, self._lamp,
        )  # fmt: skip
        moved = items != known if still else items.keys() != known.keys()
        if moved or look != self._look:  # where items go is for the next step
            self._look = look
            self.draw()

    @property
    def jammed(self) -> bool:
        return self._jam >= JAM_SHARE

    @property
    def frame(self) -> Frame:
        letter, words = KINDS[self.slot.kind]
        words = "title" if self.chosen else "dim" if self.slot.paused else f"{words} faint"
        return Frame(letter, f"{words} reverse" if self.flashing else words)

    def _placed(
        self, orders: tuple[OrderStatus, ...], market: Market, still: bool
    ) -> dict[str, Load]:
        items: dict[str, Load] = {}
        last = LANES[self.size.name] - 1
        for one in orders:
            target = round(nearness(one, market) * last)
            known = self._items.get(one.client_id)
            place = target if still or last < 4 else 0 if known is None else known.place
            buy, exits = one.side == "buy", one.role == "exit"
            words = f"{'buy' if buy else 'sell'}{' bold' if exits else ' faint'}"
            words = words if one.state == "open" else "dim"
            fresh = known is None and not still
            glyph = market.quote if buy else market.base
            items[one.client_id] = Load(place, target, glyph, words, exits, fresh)
        return items

    # --- what moves ---------------------------------------------------------------------

    def turning(self) -> int:
        """Ticks of a quarter turn, or of a pulse."""
        return PERIODS.get(self.slot.phase, PULSE)

    def soothe(self, calm: bool) -> None:
        """With ornaments or without: marks on lanes, who walks about, the pulse of an idle gear."""
        if self.calm != calm:
            self.calm, self._chevron = calm, -1
            self.draw()

    def turn(self, tick: int) -> None:
        if self.calm and self.turning() == PULSE:
            return
        self._gear = (tick + self.offset) // self.turning() % 4
        if self.step == GROWING_STEPS:
            self._draw_gear()

    def carry(self, tick: int) -> None:
        """One step of the lanes."""
        length = LANES[self.size.name]
        for name, one in self._items.items():
            step = (one.target > one.place) - (one.target < one.place)
            if step or one.fresh:
                place = one.place if self.jammed else one.place + step
                self._items[name] = one._replace(place=place, fresh=False)
        if not self.calm:
            self._chevron = (tick + self.offset) // LANE_PERIOD % (length + 2)
        if self._walker >= 0 and not self.calm:
            self._walker = (tick + self.offset) // LANE_PERIOD % (self.size.width - 2)
            if self.step == GROWING_STEPS:
                self._draw_foot()
        if self.step == GROWING_STEPS:
            self._draw_lanes()

    def blink(self, tick: int) -> None:
        self._lit = (tick // LAMP_PERIOD) % 2 == 0
        if self.step == GROWING_STEPS:
            self._draw_lamp()

    def still(self) -> None:
        """No ornament: the gear keeps its place, no mark runs, the lamp is lit."""
        self._chevron, self._lit = -1, True
        self.draw()

    # --- rows ---------------------------------------------------------------------------

    def draw(self) -> None:
        """Every part as it is now."""
        if self.step < GROWING_STEPS:
            self._draw_growing()
            return
        self._draw_title()
        self._draw_gear()
        self._draw_lanes()
        self._draw_lamp()
        self._draw_foot()
        for name in self._parts:
            if name.startswith("edge"):
                self._put(name, ("edge", self.frame))

    def _put(self, part: str, key: Key) -> None:
        self._board.put(self._parts[part], key)

    def _draw_growing(self) -> None:
        """Corners, then the frame, then the title; the rest comes when it stands."""
        width, step = self.size.width, self.step
        for name in self._parts:
            wall = name.startswith("edge") and step
            self._put(name, ("edge", self.frame) if wall else ("blank",))
        for piece in chain.from_iterable(self._lanes.values()):
            self._board.put(piece, ("blank",))
        self._put("title", ("corners", self.frame, width, 0, step))
        self._put("foot", ("corners", self.frame, width, 2, step))
        if "phase" in self._parts:
            cut = self._parts["title"].width
            self._put("phase", ("corners", self.frame, width, 0, step, cut))
        if step == GROWING_STEPS - 1:
            self._draw_title()

    def _draw_title(self) -> None:
        slot = self.slot
        if self.size.name == "dense":
            missing = () if slot.quarantined or slot.paused else missing_sides(slot)
            short = self._letter(missing[0]) if missing else ""
            self._put("title", ("number", self.frame, slot.id))
            room = self._parts["phase"].width - 1
            self._put("phase", ("phase", self.frame, room, slot.phase, short))
        else:
            self._put("title", ("title", self.frame, self.size.width, slot.id, slot.phase))

    def _letter(self, side: str) -> str:
        """Of the asset that an entry of a side needs."""
        market = self._market
        return "" if market is None else market.quote if side == "buy" else market.base

    @property
    def _gear_look(self) -> tuple[str, str]:
        phase = self.slot.phase
        if phase not in PERIODS or not self.slot.orders:
            return "○", "dim" if self._gear % 2 else "text"
        if self.jammed:
            return ("▲", "bad") if self._gear % 2 else ("◒", "bad")
        return GEARS[self._gear], f"{phase} bold"

    @property
    def _lamp_look(self) -> tuple[str, str]:
        sign, words = self._lamp
        return (sign, words) if self._lit or sign != "▲" else (" ", "")

    def _draw_gear(self) -> None:
        self._put("gear", ("sign", *self._gear_look))

    def _draw_lanes(self) -> None:
        dark = self._dark()
        if self.size.name != "large":
            self._draw_lane("lane", None, dark)
            return
        self._draw_lane("entries", False, "" if self.jammed else dark)
        self._draw_lane("exits", True, dark if self.jammed else "")

    def _draw_lane(self, part: str, exits: bool | None, dark: str) -> None:
        """Its items above a mark that runs where there is something to carry."""
        items, cells = self._on_lane(exits), self._lanes[part]
        looks = [(dark or "·", "dim faint")] * len(cells)
        if items and not self.jammed and not self.slot.paused and -1 < self._chevron < len(cells):
            looks[self._chevron] = "›", "dim faint"
        for place, glyph, words in items:
            looks[place] = glyph, words
        for piece, look in zip(cells, looks, strict=True):
            self._board.put(piece, ("sign", *look))

    def _draw_lamp(self) -> None:
        self._put("lamp", ("sign", *self._lamp_look))

    def _draw_foot(self) -> None:
        slot, frame, name = self.slot, self.frame, self.size.name
        value = slot.realised + slot.write_offs
        if name == "dense":
            self._put("foot", ("small_profit", frame, money(value, 5), tone(value)))
            return
        width, walker = self.size.width, -1 if self.calm else self._walker
        text = money(value, width - 5)
        self._put("foot", ("profit", frame, width, text, tone(value), walker))
        if name == "medium":
            label, words = label_of(slot, self._jam, 8)
            count = len(slot.recoveries) if words == "text" else 0
            if count:
                label, words = label_of(slot, self._jam, 6)
            sign = str(min(count, 9)) if count else ""
            self._put("name", ("name", frame, 6 if count else 9, label, words, sign, True))
            return
        left, right = slot.phase in ("S1a", "S2"), slot.phase in ("S1b", "S2")
        self._put("left", ("left", frame, left))
        self._put("right", ("right", frame, right))
        self._put("name", ("name", frame, 10, *label_of(slot, self._jam, 10), "", False))
        self._put("in", ("label", frame, "in  "))
        self._put("out", ("label", frame, "out "))
        self._put("counts", ("counts", frame, len(slot.orders), len(slot.recoveries)))

    def _dark(self) -> str:
        return "░" if self.jammed or missing_sides(self.slot) else ""

    def _on_lane(self, exits: bool | None) -> tuple[Item, ...]:
        """Items of one lane (or of both) without two in one cell."""
        length = LANES[self.size.name]
        taken: dict[int, Item] = {}
        for one in self._items.values():
            if exits is not None and exits != one.exits:
                continue
            place = next((p for d in range(length) for p in (one.place - d, one.place + d)
                          if 0 <= p < length and p not in taken), 0)  # fmt: skip
            taken[place] = (place, one.glyph, f"{one.words} reverse" if one.fresh else one.words)
        return tuple(sorted(taken.values()))
