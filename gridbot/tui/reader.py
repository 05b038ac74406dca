"""What lies over the deck to be read: toasts, and lists that scroll and can be searched."""

from textwrap import wrap

from gridbot.tui.cells import Line, fit, length, window
from gridbot.tui.dialogs import box

CONTINUED = " " * 15
TOASTS_MAX = 3
TOAST_SECONDS = {"info": 4.0, "good": 4.0, "warn": 6.0, "bad": 8.0}
LAMPS = {"info": "·", "good": "✓", "warn": "▲", "bad": "■"}


class Toasts:
    """At most three short notices; the same text again counts up instead of standing twice."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, str, float, int]] = []  # text, severity, until, times

    def add(self, text: str, severity: str, now: float, replaces: str = "") -> None:
        """Show ``text``; it takes the place of the notice ``replaces``."""
        times = next((one[3] for one in self.shown if one[0] == text), 0) + 1
        kept = [one for one in self.shown if one[0] not in (text, replaces)]
        until = now + TOAST_SECONDS[severity]
        self.shown = [*kept, (text, severity, until, times)][-TOASTS_MAX:]

    def expire(self, now: float) -> None:
        self.shown = [one for one in self.shown if one[2] > now]

    def draw(self, width: int) -> list[Line]:
        rows: list[Line] = []
        for text, severity, _, times in self.shown:
            again = f" x{times} " if times > 1 else " "
            first, *more = wrap(text + again, max(width - 10, 10), break_on_hyphens=False) or [""]
            rows.append([(f" {LAMPS[severity]} ", f"{severity} bar"), (f"{first} ", "text bar")])
            rows += [[(f"   {line} ", "text bar")] for line in more]
        size = min(max(map(length, rows), default=0), width - 4)
        return box("", [fit(row, size) for row in rows], size + 2, "dim") if rows else []


def matching(rows: list[Line], text: str) -> list[Line]:
    """Rows that hold a text, each with the rows that go on from it (they begin as CONTINUED)."""
    entries: list[list[Line]] = []
    for row in rows:
        if entries and row and row[0][0].startswith(CONTINUED):
            entries[-1].append(row)
        else:
            entries.append([row])
    wanted = text.lower()
    return [
        row
        for entry in entries
        if wanted in " ".join(run for row in entry for run, _ in row).lower()
        for row in entry
    ]


class Reader:
    """A list to read: help, messages. Scrolls, finds, closes, nothing else."""

    def __init__(
        self, title: str, rows: list[Line], at_end: bool = False, sought: str = ""
    ) -> None:
        self.title, self._all = title, rows
        self.sought, self._typing = sought, False
        self.first = len(rows) if at_end else 0

    @property
    def rows(self) -> list[Line]:
        """What fits the text that is sought."""
        return matching(self._all, self.sought) if self.sought else self._all

    def key(self, name: str, page: int) -> bool:
        """Scroll or search; False when it should close."""
        if self._typing:
            self._type(name)
            return True
        if name == "/":
            self._typing, self.sought = True, ""
        if name == "Esc" and self.sought:
            self.sought = ""
            return True
        steps = {"j": 1, "Down": 1, "k": -1, "Up": -1, "PgDn": page, "^d": page // 2,
                 "PgUp": -page, "^u": -page // 2, "Home": -10**6, "End": 10**6,
                 "G": 10**6, "Space": page}  # fmt: skip
        self.first = max(0, min(self.first + steps.get(name, 0), len(self.rows)))
        return name not in ("Esc", "?", "q", "Enter")

    def _type(self, name: str) -> None:
        text = " " if name == "Space" else name
        if name in ("Enter", "Esc"):
            self._typing, self.sought = False, self.sought if name == "Enter" else ""
        elif name in ("Backspace", "^h"):
            self.sought = self.sought[:-1]
        elif len(text) == 1:
            self.sought, self.first = self.sought + text, 0

    def draw(self, width: int, height: int) -> list[Line]:
        rows, room = self.rows, max(height - 2, 1)
        self.first = window(self.first, self.first, room, len(rows))
        shown = rows[self.first :][:room]
        span = f"{min(self.first + 1, len(rows))} to {self.first + len(shown)} of {len(rows)}"
        search = f"/{self.sought}" if self._typing or self.sought else "/ searches"
        return box(f"{self.title} · {span} · {search} · Esc closes", shown, width)
