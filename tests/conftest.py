"""Fixtures every test shares: exact arithmetic, and where the recorded material lies."""

import os
from pathlib import Path

import hypothesis
import pytest

from gridbot.core.numbers import use_exact_arithmetic

SHARED = Path(__file__).resolve().parents[2] / "shared"

# The same examples on every run where a red test must mean a changed program; elsewhere new ones.
# No deadline anywhere: a busy machine is not a fault.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(autouse=True)
def exact_arithmetic() -> None:
    use_exact_arithmetic()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with recorded market data and vectors; skips where it is not there."""
    if not SHARED.is_dir():
        pytest.skip(f"no recorded material at {SHARED}")
    return SHARED
