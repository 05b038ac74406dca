"""What the operator's keys do: one mode at a time, questions before risky acts, answers told.

NORMAL reads the key map, COMMAND edits the bar, CONFIRM takes the word on a question, HELP and
other lists scroll. An act goes to the current body first, then to the parts of the screen that
know its name. Without Textual: the deck feeds keys and ``tick``s in, and draws what it finds here.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from gridbot.core.records import Ack
from gridbot.core.settings import Settings
from gridbot.engine.actions import Action, CommandError, default_args, key_map, parse
from gridbot.engine.client import EngineClient
from gridbot.tui.body import Body, make_body
from gridbot.tui.cells import clock
from gridbot.tui.checks import ANSWERS, answered, check
from gridbot.tui.command_line import CommandLine
from gridbot.tui.dialogs import Question, question_for
from gridbot.tui.keys import Chords, Press
from gridbot.tui.leaving import Leaving
from gridbot.tui.lists import Lists
from gridbot.tui.look import Looks
from gridbot.tui.preferences import load_history, load_look, save_history
from gridbot.tui.reader import Reader, Toasts
from gridbot.tui.selecting import Selecting
from gridbot.tui.sending import ASKS, Order, Origin, Sender, refusal
from gridbot.tui.switching import LEAVE_HINT, Switching
from gridbot.tui.view import View

REPEAT_SECONDS = 0.3  # a held key acts once; only moves repeat
MESSAGES_MAX = 500
AIMED = {"order.close", "order.write_off"}  # by key they mean the order under the cursor
JUMPS = {"move.first", "move.last", "slot.jump", "alarm.next",
         "find.text", "find.next", "find.prev"}  # fmt: skip
OUTDATED = "the dialog closed: what it asked about has changed"


class Controls:
    """The operator's side of the screen. ``now`` gives epoch seconds."""

    def __init__(
        self, client: EngineClient, settings: Settings, now: Callable[[], float],
        read_only: bool = False,
    ) -> None:  # fmt: skip
        self.client, self.now = client, now
        self.folder = client.data_path
        self.read_only = self.read_only_for_good = read_only
        self.look, complaint = load_look(self.folder, settings.tui)
        self.view = View(settings, now(), self.look)
        self.sender = Sender(client, self.note, self._answered)
        self.chords, self.toasts = Chords(key_map()), Toasts()
        self.line = CommandLine(load_history(self.folder))
        self.messages: deque[str] = deque(maxlen=MESSAGES_MAX)
        self.question: Question | None = None
        self.reader: Reader | None = None
        self.commanding = self.leaving = self.redrawing = self.suspending = False
        self.farewell = ""  # said on the way out, after the screen is gone
        self.page_rows, self.depth = 10, ""  # told by the deck
        self.bodies: dict[str, Body] = {}
        self.acted: tuple[str, float] = ("", 0.0)  # the last action by key, and when
        self._acted_by: tuple[str, ...] = ()  # the keys that meant it
        self.before: int | None = None  # the slot selected before the last act
        self._before_digits: int | None = None
        self._presses = 0
        self._typed = ""  # the command under way, if it came from the bar
        self.fault = ""  # what went wrong in the body that is shown
        self._faults: set[tuple[str, type[Exception]]] = set()
        self.rings = False  # the bell is wanted
        self._critical: set[tuple[str, int | None]] = set()
        self.parts = [part(self) for part in (Selecting, Switching, Lists, Looks, Leaving)]
        self.note(complaint, "warn")

    @property
    def mode(self) -> str:
        if self.question is not None:
            return "CONFIRM"
        if self.reader is not None:
            return self.reader.title
        return "COMMAND" if self.commanding else "NORMAL"

    @property
    def body(self) -> Body:
        return self.body_of(self.view.name)

    def body_of(self, name: str) -> Body:
        """The body of a view, made when it is first wanted."""
        if name not in self.bodies:
            self.bodies[name] = make_body(name, self.view, self.client)
        return self.bodies[name]

    @property
    def footnote(self) -> str:
        """What was wrong with a command, or the keys that wait."""
        return self.line.error if self.commanding else self.chords.pending

    def note(self, text: str, severity: str, replaces: str = "") -> None:
        """A toast that is also kept among the messages; none without a text."""
        if text:
            self.toasts.add(text, severity, self.now(), replaces)
            self.keep(self.now(), text)

    def keep(self, at: float, text: str) -> None:
        self.messages.append(f"{clock(at)}  {text}")

    def tick(self) -> None:
        now, view = self.now(), self.view
        self.note(view.take(self.client.status(), now), "warn")
        view.attached = self.client.attached
        view.waits_for, view.link = self.client.waits_for, self.client.link
        if self.question is not None and self.question.outdated(view):
            self.question = None
            self.note(OUTDATED, "warn")
        for event in self.client.events(view.last_event.id if view.last_event else 0):
            view.last_event = event
            self.keep(event.at, event.text)
        for part in (self.sender.check, self.toasts.expire, self.chords.expire):
            part(now)
        for told in [one for body in self.bodies.values() for one in body.notices()]:
            self.note(*told)
        critical = {(one.name, one.slot) for one in view.symptoms if one.severity == "bad"}
        self.rings |= view.settings.tui.bell and bool(critical - self._critical)
        self._critical = critical
        self.settle()

    def settle(self) -> None:
        """Hold the body while something is open over it; let it look at what is new."""
        self.note(self.view.hold(self.mode != "NORMAL"), "warn")
        try:
            self.body.tick()
            self.fault = ""
        except Exception as error:
            self.fault = self.failed(error)

    def failed(self, error: Exception) -> str:
        """A fault in the body that is shown: told once; what stands in the body's place. The screen
        goes on, and with it an engine inside this terminal."""
        name, kind = self.view.name, type(error)
        text = " ".join(f"the {name} view failed: {kind.__name__}: {error}".split())
        if (name, kind) not in self._faults:
            self._faults.add((name, kind))
            self.note(text, "bad")
        return text

    def close(self) -> None:
        """Let go of everything and keep the command history."""
        for body in self.bodies.values():
            body.close()
        save_history(self.folder, self.line.known)

    def press(self, key: str) -> None:
        self._presses += 1
        self.view.now = self.now()
        mode = self.mode
        if self.question is not None:
            self._answer(self.question, key)
        elif self.reader is not None:
            self.reader = self.reader if self.reader.key(key, self.page_rows) else None
        elif self.commanding:
            self._edit(key)
        elif (press := self.chords.feed(key, self.now())) is not None:
            self._pressed(press)
        if self.mode != mode:
            self.chords.drop()
        self.settle()

    def paste(self, text: str) -> None:
        """Pasted text goes into the bar; elsewhere it is no key press."""
        if self.mode == "COMMAND":
            self.line.insert(text)

    def open_bar(self, text: str = "", error: str = "") -> None:
        self.commanding = True
        self.line.open(text, error)

    def take_clipboard(self) -> str:
        text, self.view.clipboard = self.view.clipboard, ""
        return text

    def _answer(self, question: Question, key: str) -> None:
        yes = question.key(key, self.now())
        if yes is None:
            return
        self.question = None
        if not yes:
            return
        try:
            self._go(question.row, question.orders)
        except CommandError as error:
            self.note(str(error), "bad")

    def _pressed(self, press: Press) -> None:
        view, self._typed = self.view, ""
        if not press.actions:  # a digit: its slot is selected at once
            self._before_digits = view.selected if press.fresh else self._before_digits
            view.came_from = self._before_digits if press.fresh else view.came_from
            view.select(press.number or 0)
            return
        actions = self._here(press.actions)
        row = next((one for one in actions if view.acts(one.when)), actions[0])
        count = {"count": press.number} if row.counts and press.number else {}
        if press.number is not None and row.counts:
            view.select(self._before_digits or 0)
        (_, at), self.acted = self.acted, (row.id, self.now())
        last, self._acted_by = self._acted_by, press.keys  # the same keys may mean the opposite now
        if row.engine and last == press.keys and 0 <= self.now() - at < REPEAT_SECONDS:
            return
        try:
            if row.where and view.name not in row.where:
                raise CommandError("E88", f"that works in: {' '.join(row.where)}")
            aimed = {"target": self._target()} if row.id in AIMED else {}
            self._start(row, {**default_args(row, view.scene), **count, **aimed})
        except CommandError as error:
            self.note(str(error), "warn" if row.where or row.when else "bad")

    def _here(self, rows: Sequence[Action]) -> Sequence[Action]:
        return [row for row in rows if not row.where or self.view.name in row.where] or rows

    def why_not(self, row: Action) -> str:
        """Why an action cannot be done now; empty if it can."""
        if self.read_only and row.engine:
            return "E93: read-only session"
        if row.engine and self.view.live is None:
            return "E05: no picture of the engine yet"
        if row.where and self.view.name not in row.where and not row.verbs:
            return f"E88: that works in: {' '.join(row.where)}"
        return self.view.why_not(row.when)

    def _start(self, row: Action, args: dict[str, Any]) -> None:
        """Ask if it is risky, else do it. Raises CommandError."""
        if text := self.why_not(row):
            code, _, reason = text.partition(": ")
            raise CommandError(code, reason)
        if row.id == "app.readonly" and args["name"] == "off" and self.read_only_for_good:
            raise CommandError("E93", "read-only session")
        if row.id in ANSWERS and "id" not in args:
            chosen = getattr(self.body, "selected_suggestion", None)
            args = {**args, **answered(chosen, self.view.live)}
        check(row, args, self.view.live)
        orders = self._orders(row, args)
        self.question = question_for(row, orders, self.view)
        if self.question is None:
            self._go(row, orders)

    def _orders(self, row: Action, args: dict[str, Any]) -> list[Order]:
        """One set of arguments for each slot that "all" or "marked" means."""
        view, several = self.view, args.get("slot")
        if row.id in AIMED and str(args.get("age", "")).isdigit():  # ":close 8 2" is 8.2
            return [{"target": f"{args['target']}.{args['age']}"}]
        if several not in ("all", "marked"):
            return [args]
        ids = [slot.id for slot in view.slots if several == "all" or slot.id in view.marked]
        if not ids:
            raise CommandError(
                "E30", "no slot is marked: v marks one" if view.slots else "no slots"
            )
        return [{**args, "slot": one} for one in ids]

    def _target(self) -> str:
        """The order a key means: the one under the cursor, else the slot's only one that waits."""
        if self.view.target:
            return self.view.target
        slot = self.view.slot
        names = [] if slot is None else [f"{slot.id}.{one.local_id}" for one in slot.recoveries]
        exits = () if slot is None else (one for one in slot.orders if one.role == "exit")
        names += [f"{slot.id}.{one.trade}" for one in exits if slot is not None]
        if len(names) == 1:
            return names[0]
        many = f"name one: {' '.join(names)}" if names else "no exit or recovery waits there"
        raise CommandError("E41", many)

    def _go(self, row: Action, orders: list[Order]) -> None:
        if row.engine and not (row.id == "bot.stop" and not self.view.attached):
            self.sender.send(row, orders, self.now(), Origin(self._typed, self._presses))
            return
        self.before = self.view.selected
        self.act(row.local or "stop", **orders[0])
        if row.id in JUMPS and self.view.selected != self.before:
            self.view.came_from = self.before

    def act(self, local: str, **args: Any) -> None:
        """Let the body, or else the part of the screen that can, do it. Raises CommandError."""
        for part in (self.body, *self.parts):
            if (act := getattr(part, f"do_{local}", None)) is not None:
                try:
                    told = act(**args)
                except CommandError:
                    raise
                except Exception as error:  # an engine may run in this process: go on
                    said = f"{type(error).__name__}: {error}"
                    raise CommandError("E99", f"gridbot's own fault in {local}: {said}") from error
                self.note(told or "", "good")
                return
        raise CommandError("E88", f"the {self.view.name} view cannot do that")

    def _edit(self, key: str) -> None:
        line = self.line
        if key == "Esc" or (key in ("Backspace", "^h", "Enter") and not line.text.strip()):
            self.commanding = False
        elif key == "Enter":
            self._submit(line.text.strip())
        elif key == "^c":
            self.note(LEAVE_HINT, "info")
        else:
            line.key(key)

    def _submit(self, text: str) -> None:
        self.line.remember(text)
        self.commanding, self._typed = False, text
        try:
            self._start(*parse(text, self.view.scene))
        except CommandError as error:
            self.commanding, self.line.error = True, str(error)
            self.keep(self.now(), f":{text}  {error}")

    def _answered(self, row: Action, answers: Sequence[tuple[Order, Ack]], origin: Origin) -> None:
        """The engine's answers: a question, or a refusal that brings the command back. Either opens
        only if nothing was pressed since, so that no key meant for elsewhere lands in it."""
        undisturbed = origin.presses == self._presses and self.mode == "NORMAL"
        asked = [
            ({**order, "force": ack.confirm or True}, ack.message)
            for order, ack in answers
            if ack.code == "confirm"
        ]
        if asked:
            orders, reasons = zip(*asked, strict=True)
            if undisturbed:
                self.question = question_for(row, list(orders), self.view, reasons)
                return
            self.note(f"{ASKS}: {'; '.join(reasons)}; give the command again", "warn", ASKS)
            return
        ack = answers[0][1]
        if not ack.ok and origin.typed and undisturbed:
            self.open_bar(origin.typed, refusal(ack, "", ": "))
