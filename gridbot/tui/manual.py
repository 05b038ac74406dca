"""The pages docs/KEYS.md and docs/COMMANDS.md, written from the action table.

``python -m gridbot.tui.manual docs`` writes them anew; a test compares them with the table.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gridbot.engine.actions import Action, table
from gridbot.tui.lists import ERRORS, QUIT, SECTIONS

NOTE = "<!-- written by python -m gridbot.tui.manual docs; do not edit -->\n\n"
CONFIRM = {"none": "", "low": "y or n", "high": "Enter or Esc", "typed": "type the pair"}
ONLY_IF = {
    "many": " for more than 3 slots", "many_or_caution": " for more than 3, or in band caution",
    "big_change": " for a change over 50 %", "off": " for off",
    "leave": " on a paper engine inside",
    "leave_live": " on a live engine inside",
}  # fmt: skip
KEYS_HEAD = """# Keys

In NORMAL mode, in all views unless a view is named. A chord waits 0.4 s for its next key; a number
before a move repeats it. Nothing but `:q` leaves: not `q`, not Esc, not Ctrl+C.
"""
COMMANDS_HEAD = """# Commands

`:` opens the command bar. Verbs may be cut short while they stay unique; `Tab` completes, `Right`
takes the grey rest, `Up` finds earlier commands that begin as typed. `N` is a slot number; left out
it is the selected slot, `all` and `marked` mean several. An optional word may be named: `for:2h`.
A refused command stays in the bar. What the engine does is also there for scripts, under the name
in the last column.
"""


def keys_page() -> str:
    """docs/KEYS.md."""
    rows = [(row.group, f"| {_keys(row)} | {_what(row)} | {' '.join(row.where)} |")
            for row in table() if row.keys]  # fmt: skip
    return "".join(_page(KEYS_HEAD, "| Keys | What | Only in |\n|---|---|---|\n", rows))


def commands_page() -> str:
    """docs/COMMANDS.md."""
    rows = [(row.group, f"| {_verbs(row)} | {_what(row)} | {_asks(row)} | {row.engine} |")
            for row in table() if row.verbs]  # fmt: skip
    head = "| Command | What | Asks | Action |\n|---|---|---|---|\n"
    ends = f"\n## Leaving\n\n```\n{QUIT}\n```\n\n## Messages\n\n```\n{ERRORS}\n```\n"
    return "".join(_page(COMMANDS_HEAD, head, rows)) + ends


def _page(head: str, titles: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield NOTE + head
    for group, title in SECTIONS.items():
        lines = [line for name, line in rows if name == group]
        if lines:
            yield f"\n## {title.capitalize()}\n\n{titles}" + "".join(f"{one}\n" for one in lines)


def _keys(row: Action) -> str:
    return " ".join(f"`{key.replace(' ', '')}`" for key in row.keys)


def _what(row: Action) -> str:
    return row.label.replace("|", "\\|")


def _verbs(row: Action) -> str:
    texts = [f":{row.usage}", *(f":{verb}" for verb in row.verbs[1:])]
    return " ".join(f"`{text}`" for text in texts).replace("|", "\\|")


def _asks(row: Action) -> str:
    if row.confirm == "none":
        return "the engine, if it costs" if row.ask else ""
    return CONFIRM[row.confirm] + ONLY_IF.get(row.confirm_if, "")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "KEYS.md").write_text(keys_page(), encoding="utf-8")
    (folder / "COMMANDS.md").write_text(commands_page(), encoding="utf-8")
