"""``gridbot tui --demo``: the real engine on a lively simulated market, in a directory that goes.

Nothing of the operator's is touched: of the configuration only the looks of the screen count.
"""

import contextlib
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from gridbot.commands.choices import Choices
from gridbot.engine.runner import Runner
from gridbot.tui.demo import Hand, demo_settings


def show(choices: Choices, read_only: bool) -> None:
    """Run the show until the visitor leaves; the directory is removed whatever happens."""
    with tempfile.TemporaryDirectory(prefix="gridbot-demo-") as path:
        runner = Runner(demo_settings(choices.load().settings), Path(path) / "data")
        hand = Hand(runner)

        def leave(number: int, frame: FrameType | None) -> None:
            runner.close()
            sys.exit(0)

        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, leave)
        try:
            runner.start()
            hand.start()
            from gridbot.tui.app import run as run_app

            with contextlib.suppress(SystemExit):
                run_app(runner, runner.settings, read_only)
        finally:
            hand.stop()
            runner.close()
