"""The ledger view over a million rows, in the real app on a real pty: opening, paging, memory.

Run from the project root: ``python -m benchmarks.tui_ledger [ROWS] [--keep]``. A ledger of
plausible lines is made under /tmp, then gridbot's screen is run over it with an engine that stands
still, and keys are pressed: to the first page with and without a kept index, page downs from key to
painted answer, and what the memory grew by over the idle screen. Goals: open 0.5 s, page down p95
20 ms, 70 MiB. The terminal reader shares the machine: times include its share.
"""

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from statistics import median, quantiles

ROWS = 1_000_000
FOLDER = Path("/tmp/gridbot-tui-ledger")
SIZE = 120, 40
GOALS = {"open": 0.5, "page": 0.020, "memory": 70.0}
PAGES = 100
PATIENCE_SECONDS = 60.0
LINE = (
    '{"id":%d,"seq":%d,"timestamp":%.3f,"entry_type":"%s","slot_id":%d,"trade_id":"B","cycle":%d,'
    '%s,"client_id":"gbk3x9%06d%s","txid":"OQCLML-BW3P3-B%06d","order_local_id":%d,'
    '"balance_quote_after":"%.5f","balance_base_after":"1000.00000","prev_hash":"%064x",'
    '"hash":"%064x"}\n'
)
PARTS = (  # of one round trip: type, amounts, end of the client id
    ("BUY_ENTRY", '"debit_quote":"10.00000","credit_base":"51.22163","price":"0.19523",'
     '"fee_quote":"0.04000"', "en"),
    ("FEE", '"debit_quote":"0.04000","price":"0.19523","fee_quote":"0.04000"', "en"),
    ("SELL_EXIT", '"credit_quote":"10.09989","debit_base":"51.22163","price":"0.19718",'
     '"fee_quote":"0.04000"', "ex"),
    ("FEE", '"debit_quote":"0.04000","price":"0.19718","fee_quote":"0.04000"', "ex"),
    ("CYCLE_PROFIT", '"realised_quote":"0.01989","volume_closed":"51.22163","price":"0.19718"',
     "ex"),
)  # fmt: skip


def make_ledger(path: Path, rows: int) -> None:
    """Round trips of 84 slots, a row every ten seconds until now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    began = time.time() - rows * 10
    with path.open("w", encoding="ascii") as file:
        for first in range(0, rows, 1000):
            file.write("".join(line(n, began) for n in range(first, min(first + 1000, rows))))


def line(number: int, began: float) -> str:
    trip, part = divmod(number, len(PARTS))
    kind, amounts, end = PARTS[part]
    slot, cycle = trip % 84 + 1, trip // 84 + 1
    when, balance = began + number * 10.0, 1000 + trip * 0.01989
    return LINE % (
        number + 1, number, when, kind, slot, cycle, amounts, trip, end, trip, trip, balance,
        number, number + 1,
    )  # fmt: skip


class Screen:
    """The app in a child process, and a terminal that counts and forgets what it writes."""

    def __init__(self, folder: Path) -> None:
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
            os.execv(sys.executable, [sys.executable, "-m", __spec__.name, "--screen", str(folder)])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        self.bytes, self._seen = 0, ""

    def press(self, keys: str) -> float:
        """When the keys were pressed."""
        os.write(self.fd, keys.encode())
        return time.perf_counter()

    def until(self, pattern: str, patience: float = PATIENCE_SECONDS) -> float:
        """When something that fits was read; what was read before is forgotten."""
        end = time.perf_counter() + patience
        while time.perf_counter() < end:
            self._read(0.05)
            if re.search(pattern, self._seen):
                self._seen = ""
                return time.perf_counter()
        raise SystemExit(f"the screen never showed {pattern!r}: {self._seen[-500:]!r}")

    def drained(self) -> float:
        """When the last piece of what is being painted was read."""
        at = time.perf_counter()
        while self._read(0.003):
            at = time.perf_counter()
        return at

    def quiet(self, seconds: float) -> None:
        """Let time pass; the terminal goes on reading."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self._read(0.05)
        self._seen = ""

    def _read(self, wait: float) -> bool:
        if not select.select([self.fd], [], [], wait)[0]:
            return False
        data = os.read(self.fd, 1 << 16)
        self.bytes += len(data)
        self._seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode(errors="replace"))
        return True

    @property
    def mebibytes(self) -> float:
        """Resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmRSS:\s+(\d+)", status)
        return int(found[1]) / 1024 if found else 0.0

    @property
    def cpu_seconds(self) -> float:
        """Spent by all its threads."""
        fields = (
            Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        )
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def opening(folder: Path, rows: int) -> tuple[Screen, float, float]:
    """The app at the ledger's first page: seconds from the key, and memory before it."""
    screen = Screen(folder)
    screen.until("NORMAL")
    screen.quiet(1.5)
    idle = screen.mebibytes
    began = screen.press("gl")
    newest = screen.until(rf"(?s){rows}\D.*{rows - 1}\D")
    return screen, newest - began, idle


def paging(screen: Screen) -> list[float]:
    """Seconds from each page down to the painted page, at a reader's pace."""
    times = []
    for _ in range(PAGES):
        began = screen.press("\x06")
        screen.until(r"» +\d{3}")
        times.append(screen.drained() - began)
        screen.quiet(0.06)
    return times


def report(what: str, value: float, goal: float, unit: str) -> bool:
    good = value <= goal
    print(f"{what:44}{value:9.1f} {unit:4} goal {goal:6.1f}   {'ok' if good else 'MISSED'}")
    return good


def main() -> int:
    rows = next((int(one) for one in sys.argv[1:] if one.isdigit()), ROWS)
    path = FOLDER / "ledger.jsonl"
    if not path.exists() or subprocess.check_output(["wc", "-l", path]).split()[0] != b"%d" % rows:
        make_ledger(path, rows)
    path.with_suffix(".index").unlink(missing_ok=True)
    print(f"{rows:,} rows, {path.stat().st_size / 2**20:,.0f} MiB")
    screen, cold, idle = opening(FOLDER, rows)
    screen.quiet(0.5)
    busy = paging(screen)  # while the worker still adds everything up
    screen.quiet(8.0)
    cpu, written = screen.cpu_seconds, screen.bytes
    calm = paging(screen)
    cpu, written = (screen.cpu_seconds - cpu) / PAGES, (screen.bytes - written) // PAGES
    screen.press("G")
    screen.until(r"\D1\D")
    grown = screen.mebibytes - idle
    screen.close()
    screen, kept, _ = opening(FOLDER, rows)
    screen.close()
    goals = [
        report("open, no index kept", cold * 1e3, GOALS["open"] * 1e3, "ms"),
        report("open, index kept", kept * 1e3, GOALS["open"] * 1e3, "ms"),
        report("page down median", median(calm) * 1e3, GOALS["page"] * 1e3, "ms"),
        report("page down p95", p95(calm) * 1e3, GOALS["page"] * 1e3, "ms"),
        report("page down p95 while adding up", p95(busy) * 1e3, GOALS["page"] * 1e3, "ms"),
        report(f"memory above idle ({idle:.0f} MiB)", grown, GOALS["memory"], "MiB"),
    ]
    print(f"a page down takes {cpu * 1e3:.1f} ms of a core (all the app does meanwhile counted)")
    print(f"and writes {written:,} bytes; load of the machine {os.getloadavg()[0]:.1f}")
    if "--keep" not in sys.argv:
        shutil.rmtree(FOLDER)
    return 0 if all(goals) else 1


def p95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1]


def show(folder: Path) -> None:
    """The child: the app over an engine that stands still."""
    from gridbot.core.settings import Settings

    sys.setswitchinterval(0.001)  # as gridbot tui does
    from gridbot.tui.app import run
    from tests.tui.pictures import StillClient, status

    client = StillClient(status(12))
    client.data_path = folder  # type: ignore[attr-defined]
    run(client, Settings())  # type: ignore[arg-type]


if __name__ == "__main__":
    if "--screen" in sys.argv:
        show(Path(sys.argv[-1]))
    else:
        sys.exit(main())
