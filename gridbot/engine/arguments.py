"""What a simulation was asked to do, kept in its directory: only the same one goes on there."""

import os
from decimal import Decimal
from pathlib import Path

import msgspec

from gridbot.core.numbers import plain
from gridbot.core.settings import Settings
from gridbot.engine.disk import Disk, EngineFileError, plain_errors
from gridbot.engine.journal import segments

ARGUMENTS_FILE = "simulation.json"


class OtherSimulation(EngineFileError):
    """The directory holds something else than the simulation asked for."""


def arguments_of(settings: Settings, market: dict[str, str]) -> dict[str, str]:
    """All that decides a simulation, as text by name: its market and its settings."""
    sections = msgspec.to_builtins(settings, builtin_types=(Decimal,))
    named = {
        f"{section}.{name}": plain(value) if isinstance(value, Decimal) else str(value)
        for section, values in sections.items()
        for name, value in values.items()
    }
    return market | named


def claim_for(path: Path, arguments: dict[str, str], disk: Disk) -> None:
    """Note the arguments in a fresh directory, compare them in a used one (locked, both times).
    Raises OtherSimulation naming a difference.
    """
    file = path / ARGUMENTS_FILE
    if not file.exists():
        if segments(path):
            owner = "an engine (gridbot tui or run), not to a simulation"
            raise OtherSimulation(f"{path}: belongs to {owner}: choose another data directory")
        disk.replace_json(file, arguments)
        return
    try:
        with plain_errors("read", file):
            theirs = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except ValueError as error:
        raise EngineFileError(f"{file}: damaged: {error}: choose another directory") from error
    different = [n for n in {**theirs, **arguments} if theirs.get(n) != arguments.get(n)]
    if different:
        name = different[0]
        more = f" ({len(different) - 1} more differ)" if len(different) > 1 else ""
        raise OtherSimulation(
            f"{path}: holds another simulation: {name} is {theirs.get(name)} there, "
            f"{arguments.get(name)} here{more}: repeat its arguments or choose another directory"
        )


def refuse_simulation(path: Path) -> None:
    """Raise OtherSimulation for a directory that an ordinary engine must leave alone."""
    if os.path.exists(path / ARGUMENTS_FILE):  # False, too, where one may not look
        owner = "a simulation (gridbot simulate)"
        raise OtherSimulation(f"{path}: belongs to {owner}: choose another data directory")
