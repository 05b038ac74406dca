"""Where an engine's control socket is, and how both sides name it.

A Unix socket's path may have 107 bytes. Where /proc is, the directory is opened and the socket
named through that descriptor, so that a data directory may lie as deep as it likes.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

SOCKET_FILE = "control.sock"
DESCRIPTORS = Path("/proc/self/fd")


@contextlib.contextmanager
def socket_address(directory: Path) -> Iterator[str]:
    """The address to bind or connect to, valid inside the block. Raises OSError."""
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        way = DESCRIPTORS / str(opened)
        yield str((way if way.exists() else directory) / SOCKET_FILE)
    finally:
        os.close(opened)
