"""Microseconds per reducer event: ``python -m benchmarks.state_machine``."""

import timeit
from decimal import Decimal as D

from msgspec.structs import replace

from gridbot.core import state_machine as sm
from gridbot.core.numbers import use_exact_arithmetic

ROUNDS = 20_000
CFG = sm.EngineConfig(min_volume=D(1), min_cost_usd=D("0.5"))
SIZE = D(20)


def cases() -> dict[str, tuple[sm.PairState, sm.Event, sm.EngineConfig]]:
    """One typical state and event of each kind."""
    state, _, orders = sm.bootstrap_orders(sm.PairState(D("0.0912"), 1000.0), CFG, SIZE)
    idle = replace(state, orders=orders)
    buy = orders[0]
    filled = sm.FillEvent(buy.local_id, "T", "buy", buy.price, buy.volume, D("0.05"), 1010.0)
    in_s1, _ = sm.transition(idle, filled, CFG, SIZE)
    leave = in_s1.orders[-1]
    closed = sm.FillEvent(leave.local_id, "T", "sell", leave.price, leave.volume, D("0.05"), 1020.0)
    record = sm.transition(in_s1, closed, CFG, SIZE)[0].completed_cycles[0]
    in_s1 = replace(in_s1, completed_cycles=(record,) * 20)
    low = replace(in_s1, market_price=D("0.0900"))
    orphaned, _ = sm.transition(low, sm.TimerTick(9000.0), CFG, SIZE)
    one_slot = replace(CFG, max_recovery_slots=1)
    again = replace(low, recovery_orders=orphaned.recovery_orders, next_recovery_id=2)
    rest = sm.RecoveryFillEvent(1, "T", "sell", leave.price, leave.volume, D("0.05"), 9500.0)
    return {
        "price tick, nothing to do": (idle, sm.PriceTick(D("0.0913"), 1060.0), CFG),
        "price tick, refresh": (idle, sm.PriceTick(D("0.0930"), 1060.0), CFG),
        "timer tick, S0": (idle, sm.TimerTick(1060.0), CFG),
        "timer tick, S1 waiting": (in_s1, sm.TimerTick(1060.0), CFG),
        "timer tick, S1 orphan": (low, sm.TimerTick(9000.0), CFG),
        "timer tick, orphan + evict": (again, sm.TimerTick(9000.0), one_slot),
        "fill, entry": (idle, filled, CFG),
        "fill, exit (20 cycles kept)": (in_s1, closed, CFG),
        "recovery fill": (orphaned, rest, CFG),
    }


def main() -> None:
    """Print the best of five for each case."""
    use_exact_arithmetic()
    for name, (state, event, cfg) in cases().items():
        timer = timeit.Timer(lambda s=state, e=event, c=cfg: sm.transition(s, e, c, SIZE))  # type: ignore[misc]
        best = min(timer.repeat(5, ROUNDS)) / ROUNDS * 1e6
        actions = len(sm.transition(state, event, cfg, SIZE)[1])
        print(f"{name:30} {best:6.2f} us  {actions} actions")


if __name__ == "__main__":
    main()
