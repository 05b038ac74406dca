"""Fixtures every test shares: exact arithmetic, and where the recorded material lies."""

from pathlib import Path

import pytest

from gridbot.core.numbers import use_exact_arithmetic

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def exact_arithmetic() -> None:
    use_exact_arithmetic()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with recorded market data and vectors; skips where it is not there."""
    if not SHARED.is_dir():
        pytest.skip(f"no recorded material at {SHARED}")
    return SHARED
