"""What the options of a command line chose, and the configuration that comes of it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # reading the schema takes time that `--help` does not have
    from gridbot.config import LoadedConfig


class Choices(NamedTuple):
    """The configuration file asked for, and settings given by flags as (flag, key, value)."""

    config: Path | None = None
    flags: tuple[tuple[str, str, str], ...] = ()

    def also(self, flag: str, key: str, value: str | None) -> "Choices":
        """These choices and one more; nothing more if ``value`` is None."""
        return self if value is None else self._replace(flags=(*self.flags, (flag, key, value)))

    def load(self) -> "LoadedConfig":
        """The configuration; raises ConfigError, its lines naming the flags as they were typed."""
        from gridbot.config import ConfigError, load

        try:
            return load(self.config, os.environ, [(key, value) for _, key, value in self.flags])
        except ConfigError as error:
            raise ConfigError([self._as_typed(line) for line in error.problems]) from None

    def _as_typed(self, line: str) -> str:
        for flag, key, _ in self.flags:
            if flag != "--set":
                line = line.replace(f"flag --set {key}", f"flag {flag}")
        return line
