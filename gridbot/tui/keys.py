"""Keys become actions: chords ("d d"), counts ("5j"), digits that jump at once. Pure.

A chord or a count waits 400 ms for its next key. The first digit selects its slot at once; what
follows in time extends the number ("12"), and a move that takes a count starts from where the
selection was before the digits.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gridbot.engine.actions import Action

CHORD_SECONDS = 0.4
DIGITS_MAX = 9
NAMES = {
    "up": "Up", "down": "Down", "left": "Left", "right": "Right", "home": "Home", "end": "End",
    "pageup": "PgUp", "pagedown": "PgDn", "enter": "Enter", "escape": "Esc", "space": "Space",
    "tab": "Tab", "shift+tab": "S-Tab", "backspace": "Backspace", "delete": "Delete",
}  # fmt: skip


def key_name(key: str, character: str | None) -> str:
    """The table's name of a key as the terminal reports it ("ctrl+d" is "^d")."""
    if key in NAMES:
        return NAMES[key]
    if key.startswith("ctrl+") and len(key) == 6:
        return "^" + key[5:]
    return character if character and character.isprintable() else key


class Press(NamedTuple):
    """A finished key sequence: the rows it may mean, none for a digit; and the number typed."""

    actions: tuple[Action, ...]
    number: int | None = None
    fresh: bool = False  # the first digit of a number
    keys: tuple[str, ...] = ()


class Chords:
    _keys: tuple[str, ...] = ()
    _digits = ""
    _at = 0.0

    def __init__(self, table: Mapping[tuple[str, ...], tuple[Action, ...]]) -> None:
        self._table = table

    def feed(self, key: str, now: float) -> Press | None:
        """Take one key at ``now`` seconds; None while more is needed or nothing is bound."""
        self.expire(now)
        self._at = now
        if not self._keys and key.isascii() and key.isdigit() and (self._digits or key != "0"):
            fresh, self._digits = not self._digits, (self._digits + key)[-DIGITS_MAX:]
            return Press((), int(self._digits), fresh)
        keys, number = (*self._keys, key), int(self._digits) if self._digits else None
        found = self._table.get(keys)
        if not found and any(one[: len(keys)] == keys for one in self._table):
            self._keys = keys
            return None
        self.drop()
        if found:
            return Press(found, number, keys=keys)
        return self.feed(key, now) if len(keys) > 1 else None

    def expire(self, now: float) -> None:
        if not 0 <= now - self._at <= CHORD_SECONDS:
            self.drop()

    def drop(self) -> None:
        self._keys, self._digits = (), ""

    @property
    def pending(self) -> str:
        """What waits and how it can go on, for the footer."""
        size = len(self._keys)
        ways = [keys[size] for keys in self._table if size and keys[:size] == self._keys]
        typed = self._digits + "".join(self._keys)
        return f"{typed} then {' '.join(ways)}" if ways else typed
