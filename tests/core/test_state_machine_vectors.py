"""The reducer against recorded behaviour: every scenario step and every single-function vector."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from msgspec.structs import replace

from gridbot.core import state_machine as sm

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "conformance" / "state_machine"
STEMS = sorted(path.stem for path in FOLDER.glob("*.jsonl"))
SCENARIOS = [stem for stem in STEMS if not stem.startswith("fn_")] or ["basic_cycles"]
FUNCTIONS = [stem for stem in STEMS if stem.startswith("fn_")] or ["fn_volume"]
EXACT = {"price", "volume", "entry_price", "exit_price", "market_price", "profit_pct_runtime"}
TOLERANCE = Decimal("1e-9")


def lines(name: str) -> Iterator[dict[str, Any]]:
    path = FOLDER / f"{name}.jsonl"
    if not path.is_file():
        pytest.skip(f"no conformance vectors at {path}")
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def decimals_of(kind: type) -> set[str]:
    hints = get_type_hints(kind)
    return {name for name, hint in hints.items() if Decimal in (hint, *get_args(hint))}


MONEY = {
    name
    for kind in (sm.PairState, sm.OrderState, sm.CycleRecord, sm.BookCycleAction)
    for name in decimals_of(kind) - EXACT
}


def build(kind: type, data: dict[str, Any]) -> Any:
    exact = decimals_of(kind)
    return kind(
        **{
            name: Decimal(value) if name in exact and value is not None else value
            for name, value in data.items()
        }
    )


def config(data: dict[str, Any]) -> Any:
    return build(sm.EngineConfig, data)


def plain(value: Any) -> dict[str, Any]:
    """A record as a mapping, with the action's class name where the vectors carry it."""
    data = {name: getattr(value, name) for name in value.__struct_fields__}
    return {"type": type(value).__name__, **data} if isinstance(value, sm.Action) else data


def state_view(state: sm.PairState) -> dict[str, Any]:
    view = {**plain(state)}
    view["orders"] = [plain(o) for o in state.orders]
    view["recovery_orders"] = [plain(r) for r in state.recovery_orders]
    cycles = view.pop("completed_cycles")
    view["completed_cycles_count"] = len(cycles)
    view["completed_cycles_last"] = [plain(c) for c in cycles[-3:]]
    return view


def assert_same(got: Any, expected: Any, where: str, name: str = "") -> None:
    if isinstance(expected, dict):
        assert got.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_same(got[key], value, f"{where}.{key}", key)
    elif isinstance(expected, list):
        assert len(got) == len(expected), f"{where}: {got} != {expected}"
        for index, value in enumerate(expected):
            assert_same(got[index], value, f"{where}[{index}]")
    elif name in EXACT:
        assert got == Decimal(expected), where
    elif name in MONEY:
        assert abs(got - Decimal(expected)) <= TOLERANCE, f"{where}: {got} != {expected}"
    else:
        assert got == expected, f"{where}: {got!r} != {expected!r}"


def perform(
    op: dict[str, Any], state: sm.PairState, cfg: sm.EngineConfig
) -> tuple[sm.PairState, list[sm.Action]]:
    args = {name: value for name, value in op.items() if name != "type"}
    kind = op["type"]
    if kind == "set_fields":
        changed = sm.from_dict({**sm.to_dict(state), **args["fields"]})
        return changed, []
    if "order_size_usd" in args:
        args["order_size_usd"] = Decimal(args["order_size_usd"])
    if kind == "add_entry_order":
        state, action = sm.add_entry_order(state, cfg, **args)
        return state, [action] if action else []
    if kind == "bootstrap_orders":
        state, actions, orders = sm.bootstrap_orders(state, cfg, **args)
        return replace(state, orders=(*state.orders, *orders)), list(actions)
    if kind == "apply_order_regime_at_entry":
        args["value"] = args.pop("regime_at_entry")
    return getattr(sm, kind)(state, **args), []


def take(
    step: dict[str, Any], state: sm.PairState, scenario: dict[str, Any]
) -> tuple[sm.PairState, Any]:
    cfg = config({**scenario["cfg"], **step.get("cfg", {})})
    if "op" in step:
        return perform(step["op"], state, cfg)
    event = dict(step["event"])
    event = build(getattr(sm, event.pop("type")), event)
    size = Decimal(step.get("order_size_usd", scenario["order_size_usd"]))
    sizes = step.get("order_sizes")
    if sizes is not None:
        sizes = {trade: Decimal(value) for trade, value in sizes.items()}
    return sm.transition(state, event, cfg, size, sizes)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_step_is_reproduced(name: str) -> None:
    steps = 0
    for scenario in lines(name):
        state = sm.from_dict(scenario["initial"])
        expected: dict[str, Any] = {}
        for index, step in enumerate(scenario["steps"]):
            where = f"{scenario['name']} step {index}"
            state, actions = take(step, state, scenario)
            expected = step.get("state") or {**expected, **step["state_delta"]}
            assert_same([plain(a) for a in actions], step["actions"], f"{where} actions")
            assert_same(state_view(state), expected, where)
            assert sm.derive_phase(state) == step["phase"], where
            assert sm.check_invariants(state) == step["invariants"], where
            assert sm.from_dict(sm.to_dict(state)) == state, where
            steps += 1
    assert steps > 0


def check_volume(args: dict[str, Any], result: Any, where: str) -> None:
    price, size = Decimal(args["price"]), Decimal(args["order_size_usd"])
    volume = sm.compute_order_volume(price, config(args["cfg"]), size)
    assert volume == (None if result is None else Decimal(result)), where


def check_backoff(args: dict[str, Any], result: Any, where: str) -> None:
    got = sm.entry_backoff_multiplier(args["loss_count"], config(args["cfg"]))
    assert got == Decimal(result), where


def check_exit_price(args: dict[str, Any], result: Any, where: str) -> None:
    trade, side = ("B", "buy") if args["side"] == "sell" else ("A", "sell")
    fill, one = Decimal(args["entry_fill"]), Decimal(1)
    state = sm.PairState(
        Decimal(args["market_price"]),
        0.0,
        orders=(sm.OrderState(1, side, "entry", fill, one, trade, 1),),  # type: ignore[arg-type]
        next_order_id=2,
        profit_pct_runtime=Decimal(args["profit_pct"]),
    )
    event = sm.FillEvent(1, "T", side, fill, one, one, 1.0)  # type: ignore[arg-type]
    cfg = config({**args["cfg"], "profit_pct": args["profit_pct"]})
    state, _ = sm.transition(state, event, cfg, one)
    assert state.orders[0].price == Decimal(result), where


def check_add_entry(args: dict[str, Any], result: Any, where: str) -> None:
    op = {key: value for key, value in args.items() if key not in ("state", "cfg")}
    op["type"] = "add_entry_order"
    state, actions = perform(op, sm.from_dict(args["state"]), config(args["cfg"]))
    wanted = [result["action"]] if result["action"] else []
    assert_same([plain(a) for a in actions], wanted, f"{where} action")
    assert_same(state_view(state), result["state"], where)


def check_bootstrap(args: dict[str, Any], result: Any, where: str) -> None:
    state, actions, orders = sm.bootstrap_orders(
        sm.from_dict(args["state"]),
        config(args["cfg"]),
        Decimal(args["order_size_usd"]),
        args["allow_long_only"],
        args["allow_short_only"],
    )
    assert_same(state_view(state), result["state"], where)
    assert_same([plain(a) for a in actions], result["actions"], f"{where} actions")
    assert_same([plain(o) for o in orders], result["orders"], f"{where} orders")


def check_invariants(args: dict[str, Any], result: Any, where: str) -> None:
    state = sm.from_dict(args["state"])
    assert sm.derive_phase(state) == result["phase"], where
    assert sm.check_invariants(state) == result["violations"], where


def check_serialisation(args: dict[str, Any], result: Any, where: str) -> None:
    state = sm.from_dict(args["data"])
    assert state == sm.from_dict(result), where
    view = plain(state)
    for name in ("orders", "recovery_orders", "completed_cycles"):
        view[name] = [plain(record) for record in view[name]]
    assert_same(view, result, where)
    assert sm.from_dict(json.loads(json.dumps(sm.to_dict(state)))) == state, where


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_vector_is_reproduced(name: str) -> None:
    check = globals()[name.replace("fn_", "check_")]
    for number, line in enumerate(lines(name), 1):
        check(line["args"], line["result"], f"{name} line {number}")
