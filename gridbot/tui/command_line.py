"""The command bar's line: editing, history, completion. Pure; it never acts by itself."""

from collections.abc import Callable

from gridbot.engine.actions import Completion, complete

TEXT_MAX = 200
HISTORY_MAX = 20


class CommandLine:
    """Text with a cursor. ``error`` is what was wrong with the text as it stands."""

    def __init__(self) -> None:
        self.text = ""
        self.cursor = 0
        self.error = ""
        self.history: list[str] = []
        self._typed = ""
        self._back = 0
        self._choice = -1

    def open(self, text: str = "", error: str = "") -> None:
        """Begin with ``text``."""
        self._set(text)
        self.error = error

    def remember(self, text: str) -> None:
        """Put a command at the end of the history, once."""
        self.history = [*(one for one in self.history if one != text), text][-HISTORY_MAX:]

    @property
    def completions(self) -> list[Completion]:
        """How what was typed could go on."""
        return complete(self._typed)

    @property
    def choice(self) -> int:
        """The completion Tab stands at, -1 for none."""
        return self._choice

    def key(self, name: str) -> bool:
        """Edit by one key; False if the key means nothing here."""
        edits: dict[str, Callable[[], None]] = {
            "Left": lambda: self._move(self.cursor - 1),
            "Right": lambda: self._move(self.cursor + 1),
            "Home": lambda: self._move(0), "^a": lambda: self._move(0),
            "End": lambda: self._move(len(self.text)), "^e": lambda: self._move(len(self.text)),
            "Backspace": lambda: self._cut(self.cursor - 1),
            "^h": lambda: self._cut(self.cursor - 1),
            "Delete": self._delete, "^u": lambda: self._cut(0), "^w": self._cut_word,
            "Tab": lambda: self._complete(1), "S-Tab": lambda: self._complete(-1),
            "Up": lambda: self._recall(1), "Down": lambda: self._recall(-1),
            "Space": lambda: self.insert(" "),
        }  # fmt: skip
        if name in edits:
            edits[name]()
        elif len(name) == 1:
            self.insert(name)
        else:
            return False
        return True

    def insert(self, text: str) -> None:
        """Type or paste at the cursor; only the first line of a paste is taken."""
        line = "".join(one for one in text.splitlines()[0] if one.isprintable()) if text else ""
        line = line[: TEXT_MAX - len(self.text)]
        cursor = self.cursor + len(line)
        self._set(self.text[: self.cursor] + line + self.text[self.cursor :], cursor)

    def _set(self, text: str, cursor: int | None = None) -> None:
        self.text, self.cursor = text, len(text) if cursor is None else cursor
        self._typed, self._back, self._choice, self.error = text, 0, -1, ""

    def _move(self, cursor: int) -> None:
        self.cursor = max(0, min(cursor, len(self.text)))

    def _cut(self, start: int) -> None:
        start = max(start, 0)
        self._set(self.text[:start] + self.text[self.cursor :], start)

    def _delete(self) -> None:
        self._set(self.text[: self.cursor] + self.text[self.cursor + 1 :], self.cursor)

    def _cut_word(self) -> None:
        kept = self.text[: self.cursor].rstrip()
        self._cut(kept.rfind(" ") + 1)

    def _complete(self, step: int) -> None:
        found = self.completions
        if found:
            start = self._choice if self._choice >= 0 or step > 0 else 0
            self._choice = (start + step) % len(found)
            self.text = found[self._choice].text
            self.cursor = len(self.text)

    def _recall(self, step: int) -> None:
        """Older or newer commands that begin with what was typed."""
        past = [one for one in reversed(self.history) if one.startswith(self._typed)]
        self._back = max(0, min(self._back + step, len(past)))
        self.text = past[self._back - 1] if self._back else self._typed
        self.cursor = len(self.text)
