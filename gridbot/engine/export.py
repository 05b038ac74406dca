"""Exports: ledger, slots, cycles or the whole picture as csv, json or jsonl, written in a worker.

The file is whole or not there: it is written under another name and renamed. One that exists is
only replaced when forced. E70 the file exists, E71 it cannot be written, or nothing can be read.
"""

import csv
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from time import gmtime, strftime
from typing import Any, Literal, NamedTuple, TextIO, get_args

import msgspec

from gridbot.core.numbers import use_exact_arithmetic
from gridbot.core.records import LedgerEntry
from gridbot.engine.actions import CommandError
from gridbot.engine.disk import EngineFileError
from gridbot.engine.ledger_filter import LedgerFilter
from gridbot.engine.ledger_index import LedgerIndex, decoded
from gridbot.engine.status import SlotStatus, Status

What = Literal["ledger", "slots", "cycles", "snapshot"]
Format = Literal["csv", "json", "jsonl"]
FORMATS: tuple[str, ...] = get_args(Format)
CYCLE_TYPES = frozenset({"CYCLE_PROFIT", "WRITE_OFF"})
PIECE_ROWS = 1000
Fields = dict[str, Any]


class Export(NamedTuple):
    """What is to be exported and where to; ``path`` empty: a name with the time ``now``, in the
    current directory. ``ledger`` is the ledger's file, ``wanted`` the filter for its rows."""

    what: What
    format: Format
    path: str
    force: bool
    now: float
    status: Status | None = None
    ledger: Path | None = None
    wanted: LedgerFilter = LedgerFilter()

    @property
    def target(self) -> Path:
        name = f"gridbot-{self.what}-{strftime('%Y%m%d-%H%M%S', gmtime(self.now))}.{self.format}"
        path = Path(self.path or name).expanduser()
        return path / name if path.is_dir() else path

    def run(self) -> str:
        """Write the file; what was written, in words. Raises CommandError E70, E71."""
        target = self.target
        if target.exists() and not self.force:
            raise CommandError("E70", f"{target} exists; add ! to overwrite")
        temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("x", encoding="utf-8", newline="") as file:
                count = _WRITERS[self.format](file, self.rows())
            if target.exists() and not self.force:  # it came while this was written
                raise CommandError("E70", f"{target} exists; add ! to overwrite")
            temporary.replace(target)
        except FileExistsError:
            raise CommandError("E71", f"cannot write there: {temporary} is being written") from None
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise CommandError("E71", f"cannot write there: {error.strerror or error}") from None
        except (EngineFileError, CommandError) as error:
            temporary.unlink(missing_ok=True)
            if isinstance(error, CommandError):
                raise
            raise CommandError("E71", f"cannot read: {error}") from None
        return f"{count} rows of {self.what} written to {target}"

    def start(self) -> "Future[str]":
        """``run`` in a thread of its own."""
        future: Future[str] = Future()
        Thread(target=self._work, args=(future,), name="export", daemon=True).start()
        return future

    def _work(self, future: "Future[str]") -> None:
        use_exact_arithmetic()
        try:
            future.set_result(self.run())
        except Exception as error:  # whoever waits is told
            future.set_exception(error)

    def rows(self) -> Iterator[Fields]:
        """The rows, oldest first."""
        if self.what in ("ledger", "cycles"):
            types = CYCLE_TYPES if self.what == "cycles" else self.wanted.types
            wanted = msgspec.structs.replace(self.wanted, types=types)
            yield from map(_plain, _entries(self.ledger, wanted))
        elif self.status is None:
            raise CommandError("E71", "there is no picture of the engine yet")
        elif self.what == "slots":
            yield from map(_slot, self.status.slots)
        elif self.format == "csv":
            yield from ({"name": name, "value": one} for name, one in _flat(_plain(self.status)))
        else:
            yield _plain(self.status)


def _entries(path: Path | None, wanted: LedgerFilter) -> Iterator[LedgerEntry]:
    if path is None or not path.exists():
        raise CommandError("E71", f"there is no ledger{f' {path}' if path else ''}")
    index = LedgerIndex(path)
    index.refresh()
    for first in range(0, index.rows, PIECE_ROWS):
        lines = index.lines(first, min(first + PIECE_ROWS, index.rows))
        for needle in wanted.needles:
            lines = [line for line in lines if needle in line]
        entries = (decoded(line, 0) for line in lines)
        yield from (one for one in entries if not isinstance(one, str) and wanted.accepts(one))


def _plain(value: msgspec.Struct) -> Fields:
    """All fields, defaults too, as JSON has them."""
    plain: Fields = msgspec.to_builtins(msgspec.structs.asdict(value))
    return plain


def _slot(slot: SlotStatus) -> Fields:
    """A slot in one row: what it lists is counted, its orders are in the snapshot."""
    fields = _plain(slot)
    return {
        name: len(one) if isinstance(one, list | tuple) else one for name, one in fields.items()
    }


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every figure of a tree with the way to it."""
    if isinstance(value, dict | list | tuple):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, one in pairs:
            yield from _flat(one, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def _csv(file: TextIO, rows: Iterable[Fields]) -> int:
    writer, count = csv.writer(file, lineterminator="\n"), 0
    for row in rows:
        if not count:
            writer.writerow(row)
        writer.writerow(row.values())
        count += 1
    return count


def _jsonl(file: TextIO, rows: Iterable[Fields]) -> int:
    return sum(bool(file.write(f"{json.dumps(row)}\n")) for row in rows)


def _json(file: TextIO, rows: Iterable[Fields]) -> int:
    count = 0
    file.write("[")
    for row in rows:
        file.write(f"{',' if count else ''}\n{json.dumps(row)}")
        count += 1
    file.write("\n]\n")
    return count


_WRITERS = {"csv": _csv, "json": _json, "jsonl": _jsonl}
