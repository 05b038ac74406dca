"""Looking into a data directory from outside: no lock, nothing written, an engine may be at work.

The state is the newest snapshot with the journal after it replayed into a brain that is thrown away
afterwards. A running engine may replace or pack files between two looks, so a look that failed is
repeated before it counts.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gridbot.core.brain import Brain
from gridbot.core.brain_state import load_brain
from gridbot.core.ledger import LedgerHead
from gridbot.core.numbers import ZERO
from gridbot.core.records import LedgerEntry, StepInput
from gridbot.core.settings import PersistenceSettings
from gridbot.core.verify import VerifyReport, verify_lines
from gridbot.engine.directory import LOCK_FILE, DataDirectory, DirectoryError, DirectoryView
from gridbot.engine.disk import EngineFileError, plain_errors
from gridbot.engine.ledger_file import tail
from gridbot.engine.status import EngineStatus, PriceStatus, Status, build_status
from gridbot.engine.store import Saved, check_digest

LOOKS = 5
LOOK_PAUSE_SECONDS = 0.05

T = TypeVar("T")


def read_status(path: Path, names: PersistenceSettings) -> tuple[Status, list[str]]:
    """The status of the directory's engine, and notes about files that had to be passed over.
    The engine's state is "stopped" where none runs. Raises EngineFileError.
    """
    view = DataDirectory.inspect(path)
    brain, notes = _look(path, lambda: _brain(path, names.state_file))
    last = brain.price or ZERO
    price = PriceStatus(brain.bid, brain.ask, last, brain.price, brain.price_at, brain.price_lost)
    return build_status(brain, _engine_status(path, view, brain), price), notes


def verify_ledger(path: Path, names: PersistenceSettings) -> tuple[VerifyReport, list[str]]:
    """Verify the ledger against itself and the snapshot's head; notes as in ``read_status``.
    Raises EngineFileError when there is no ledger to read.
    """
    ledger = ledger_file(path, names)
    # The snapshot first: the ledger can only have grown since.
    saved = _look(path, lambda: Saved(path, names.state_file))
    notes = list(saved.notes)
    head = LedgerHead(saved.mark.id, saved.mark.hash) if saved.mark.id else None
    if head is None:
        notes.append(f"{path}: no snapshot vouches for the end of the ledger")
    with plain_errors("read", ledger), ledger.open("rb") as lines:
        return verify_lines(lines, head), notes


def ledger_tail(
    path: Path, names: PersistenceSettings, slot: int | None, count: int
) -> list[LedgerEntry]:
    """The newest entries (of one slot, 0: of the account), oldest first; EngineFileError."""
    return tail(ledger_file(path, names), count, slot)


def ledger_file(path: Path, names: PersistenceSettings) -> Path:
    """Where the ledger is; EngineFileError when there is none."""
    DataDirectory.inspect(path)
    ledger = path / names.ledger_file
    if not ledger.exists():
        last_id = Saved(path, names.state_file).mark.id
        why = f"the snapshot vouches for {last_id} entries" if last_id else "nothing was traded yet"
        raise DirectoryError(f"{ledger}: no ledger there: {why}")
    return ledger


def _look(path: Path, look: Callable[[], T]) -> T:
    looks = 0
    while True:
        looks += 1
        try:
            with plain_errors("read", path):
                return look()
        except EngineFileError:
            if looks == LOOKS or not DataDirectory.inspect(path).running:
                raise
            time.sleep(LOOK_PAUSE_SECONDS)


def _brain(path: Path, state_file: str) -> tuple[Brain, list[str]]:
    saved = Saved(path, state_file)
    state = saved.state
    if state is None:
        raise DirectoryError(f"{path}: nothing has been traded there yet")
    try:
        brain = load_brain(state["brain"])
        digest = state["shell"]["digest"]
    except (KeyError, ValueError) as error:
        raise EngineFileError(f"{path}: its state cannot be understood: {error!r}") from error
    for record in saved.records():
        if isinstance(record, StepInput):
            check_digest(path, record, digest)
            brain.step(record)
            digest = brain.outputs_digest()
    return brain, saved.notes


def _engine_status(path: Path, view: DirectoryView, brain: Brain) -> EngineStatus:
    if not view.running:
        return EngineStatus("stopped", brain.state_reason, 0.0, 0, brain.now, 0.0)
    since = (path / LOCK_FILE).stat().st_mtime  # written when the lock was taken
    speed = float(brain.settings.sim.speed) if brain.settings.run.mode == "sim" else 1.0
    run = brain.run_state, brain.state_reason
    return EngineStatus(*run, since, view.pid or 0, brain.now, 0.0, speed)
