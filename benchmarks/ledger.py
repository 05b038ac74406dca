"""What booking and verifying cost: microseconds per fill and per line, best of several rounds.

Run from the project root: ``python -m benchmarks.ledger``. The goals are those of the hot path of a
simulated year: an entry fill with its fee within 14 us, an exit fill with fee and profit within 22,
verification within 25 a line.
"""

import time
from collections.abc import Callable
from decimal import Decimal

from gridbot.core.ledger import Books
from gridbot.core.numbers import use_exact_arithmetic
from gridbot.core.positions import FillPart
from gridbot.core.verify import verify_lines

ROUNDS = 7
FILLS = 5_000
GOALS_US = {"entry": 14.0, "exit": 22.0, "verify": 25.0}


def fill(number: int, role: str, in_base: bool) -> FillPart:
    entry = role == "entry"
    return FillPart(
        slot_id=number % 84 + 1,
        trade_id="B",
        cycle=number // 84 + 1,
        role="entry" if entry else "exit",
        side="buy" if entry else "sell",
        client_id=f"gbk3x9{number:06d}{role[:2]}",
        txid="OQCLML-BW3P3-BUCMWZ",
        order_local_id=number,
        price=Decimal("0.19523") if entry else Decimal("0.19718"),
        executed=Decimal("51.22163") if entry or not in_base else Decimal("51.01673"),
        cost=Decimal("10.00000") if entry else Decimal("10.09989"),
        fee=Decimal("0.20490") if in_base and entry else Decimal("0.04000"),
        fee_asset_is_base=in_base and entry,
        executed_total=Decimal("51.22163") if entry or not in_base else Decimal("51.01673"),
        last=True,
    )


def fresh() -> Books:
    books = Books(5, 5)
    books.open_account(0, 0.0, Decimal("100000"), Decimal("1000"), Decimal("0.19500"))
    return books


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(in_base: bool) -> dict[str, float]:
    parts = {r: [fill(n, r, in_base) for n in range(FILLS)] for r in ("entry", "exit")}
    best = dict.fromkeys(GOALS_US, float("inf"))
    for _ in range(ROUNDS):
        books = fresh()
        for role, batch in parts.items():
            took = seconds(lambda books=books, batch=batch: book(books, batch))  # type: ignore[misc]
            best[role] = min(best[role], took / FILLS * 1e6)
        lines = books.take_lines()
        took = seconds(lambda lines=lines, books=books: verify_lines(lines, books.head))  # type: ignore[misc]
        best["verify"] = min(best["verify"], took / len(lines) * 1e6)
        assert verify_lines(lines, books.head).ok
    return best


def book(books: Books, parts: list[FillPart]) -> None:
    for number, part in enumerate(parts):
        books.execution(number, 1.7e9 + number, part)


def main() -> None:
    use_exact_arithmetic()
    for in_base in (False, True):
        print(f"fees of entries in {'base' if in_base else 'quote'}")
        for what, microseconds in measure(in_base).items():
            print(f"  {what:8}{microseconds:7.2f} us   goal {GOALS_US[what]:.0f}")


if __name__ == "__main__":
    main()
