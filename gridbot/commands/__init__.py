"""What each command does and says. ``cli`` imports its parts when they are needed, never before."""

import tomllib
from pathlib import Path

TEXTS = tomllib.loads(Path(__file__).with_name("texts.toml").read_text("utf-8"))
