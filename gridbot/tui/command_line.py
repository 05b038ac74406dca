"""The command bar's line: editing, history, completion. Pure; it never acts by itself."""

from collections.abc import Callable, Sequence

from gridbot.engine.actions import Completion, complete
from gridbot.tui.preferences import HISTORY_KEPT

TEXT_MAX = 200
HISTORY_MAX = 20


class CommandLine:
    """Text with a cursor. ``error`` is what was wrong with the text as it stands."""

    def __init__(self, earlier: Sequence[str] = ()) -> None:
        """``earlier``: commands of other sessions, oldest first."""
        self.known = list(earlier)
        self.open()

    @property
    def history(self) -> list[str]:
        """The commands that Up finds."""
        return self.known[-HISTORY_MAX:]

    def open(self, text: str = "", error: str = "") -> None:
        self._set(text)
        self.error = error

    def remember(self, text: str) -> None:
        """Put a command at the end of the history, once."""
        self.known = [*(one for one in self.known if one != text), text][-HISTORY_KEPT:]

    @property
    def completions(self) -> list[Completion]:
        return complete(self._typed)

    @property
    def ghost(self) -> str:
        """How the likeliest completion goes on, for Right to take."""
        found = self.completions if self.text and self.choice < 0 else []
        text = found[0].text if found else ""
        return text[len(self.text) :] if text.startswith(self.text) else ""

    def key(self, name: str) -> None:
        at, end = self.cursor, len(self.text)
        edits: dict[str, Callable[[], None]] = {
            "Left": lambda: self._move(at - 1),
            "Right": lambda: self._move(at + 1) if at < end else self.insert(self.ghost),
            "Home": lambda: self._move(0), "End": lambda: self._move(end),
            "Backspace": lambda: self._cut(at - 1, at), "Delete": lambda: self._cut(at, at + 1),
            "^u": lambda: self._cut(0, at),
            "^w": lambda: self._cut(self.text[:at].rstrip().rfind(" ") + 1, at),
            "Tab": lambda: self._complete(1), "S-Tab": lambda: self._complete(-1),
            "Up": lambda: self._recall(1), "Down": lambda: self._recall(-1),
            "Space": lambda: self.insert(" "),
        }  # fmt: skip
        name = {"^a": "Home", "^e": "End", "^h": "Backspace"}.get(name, name)
        if name in edits:
            edits[name]()
        elif len(name) == 1:
            self.insert(name)

    def insert(self, text: str) -> None:
        """Type or paste at the cursor; only the first line of a paste is taken."""
        line = "".join(one for one in text.splitlines()[0] if one.isprintable()) if text else ""
        line = line[: TEXT_MAX - len(self.text)]
        self._set(self.text[: self.cursor] + line, self.text[self.cursor :])

    def _set(self, left: str, right: str = "") -> None:
        self.text, self.cursor, self.error = left + right, len(left), ""
        self._typed, self._back = self.text, 0
        self.choice = -1  # the completion Tab stands at, -1 for none

    def _move(self, cursor: int) -> None:
        self.cursor = max(0, min(cursor, len(self.text)))

    def _cut(self, start: int, end: int) -> None:
        self._set(self.text[: max(start, 0)], self.text[end:])

    def _complete(self, step: int) -> None:
        if found := self.completions:
            start = self.choice if self.choice >= 0 or step > 0 else 0
            self.choice = (start + step) % len(found)
            self._show(found[self.choice].text)

    def _recall(self, step: int) -> None:
        """Older or newer commands that begin with what was typed."""
        past = [one for one in reversed(self.history) if one.startswith(self._typed)]
        self._back = max(0, min(self._back + step, len(past)))
        self._show([self._typed, *past][self._back])

    def _show(self, text: str) -> None:
        self.text, self.cursor = text, len(text)
