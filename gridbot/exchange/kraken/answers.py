"""Kraken's answers as typed values: only what is needed, everything checked.

New fields are ignored; a missing one, a wrong type, or a number that is none makes BadAnswer with
the endpoint's name. Money is never a float on its way, a time always is. What has a field or two
is a dict with these keys, on one line.
"""
# ruff: noqa: UP013

import math
import re
from decimal import Decimal
from typing import Annotated, Any, Literal, TypedDict, TypeVar

import msgspec

from gridbot.core.numbers import ZERO, check_decimal, parse_decimal
from gridbot.core.records import OrderReport, OrderReportState, Side
from gridbot.exchange.protocol import BadAnswer

T = TypeVar("T")
Figures = Annotated[list[Decimal], msgspec.Meta(min_length=2)]  # a price level or a candle
ServerTime = TypedDict("ServerTime", {"unixtime": int})
SystemStatus = TypedDict("SystemStatus", {"status": str})
Ticker = TypedDict("Ticker", {"a": Figures, "b": Figures, "c": Figures})
Depth = TypedDict("Depth", {"asks": list[Figures], "bids": list[Figures]})
Fee = TypedDict("Fee", {"fee": Decimal})
Placed = TypedDict("Placed", {"txid": Annotated[list[str], msgspec.Meta(min_length=1)]})
Amended = TypedDict("Amended", {"amend_id": str})
Cancelled = TypedDict("Cancelled", {"count": int})
Holding = TypedDict("Holding", {"balance": Decimal, "hold_trade": Decimal})
Fees = dict[str, Fee] | None
TradeVolume = TypedDict("TradeVolume", {"fees": Fees, "fees_maker": Fees})
Description = TypedDict("Description", {"pair": str, "type": Side, "ordertype": str, "price": str})
BatchItem = TypedDict("BatchItem", {"txid": str, "error": str}, total=False)
BatchPlaced = TypedDict("BatchPlaced", {"orders": list[BatchItem]})
Trade = TypedDict("Trade", {
    "ordertxid": str, "pair": str, "time": float, "type": Side, "price": Decimal,
    "cost": Decimal, "fee": Decimal, "vol": Decimal,
})  # fmt: skip
Entry = TypedDict("Entry", {
    "refid": str, "time": float, "type": str, "asset": str, "amount": Decimal, "fee": Decimal,
    "balance": Decimal,
})  # fmt: skip
COST_SLACK = Decimal("0.01")  # in quote, for what is executed in parts of a cent
BASE_STEP = Decimal(1).scaleb(-10)  # no asset has more decimals
# Money comes as text; a bare number there is somebody's mistake, and may be any number.
_BARE = re.compile(
    rb'"(vol|vol_exec|cost|fee|amount|balance|hold_trade|tick_size|ordermin|costmin)"\s*:\s*[-\d]'
)
_STATES: dict[str, OrderReportState] = {"pending": "open", "canceled": "cancelled"}


class AssetNames(msgspec.Struct):
    altname: str
    aclass: str = "currency"


class PairNames(AssetNames, kw_only=True):
    base: str
    quote: str
    wsname: str = ""
    aclass_base: str = "currency"
    status: str = "online"


class PairRules(PairNames, kw_only=True):
    pair_decimals: int
    lot_decimals: int
    cost_decimals: int
    tick_size: Decimal
    ordermin: Decimal
    costmin: Decimal


class KeyInfo(msgspec.Struct):
    """What Kraken says about the key; times in epoch seconds, 0 for never."""

    permissions: list[str]
    api_key_name: str = ""
    nonce_window: int = 0
    valid_until: float = 0.0
    query_from: float = 0.0
    query_to: float = 0.0
    ip_allowlist: list[str] = []


class Order(msgspec.Struct):
    status: Literal["pending", "open", "closed", "canceled", "expired"]
    opentm: float
    descr: Description
    vol: Decimal
    vol_exec: Decimal
    cost: Decimal
    fee: Decimal
    oflags: str = ""
    cl_ord_id: str | None = None
    trades: list[str] | None = None
    reason: str | None = None
    closetm: float | None = None


OpenOrders = TypedDict("OpenOrders", {"open": dict[str, Order]})
ClosedOrders = TypedDict("ClosedOrders", {"closed": dict[str, Order], "count": int})
TradePage = TypedDict("TradePage", {"count": int, "trades": dict[str, Trade]})
LedgerPage = TypedDict("LedgerPage", {"count": int, "ledger": dict[str, Entry]})


def decode(raw: msgspec.Raw, kind: type[T], endpoint: str) -> T:
    """``raw`` as a ``kind``; raises BadAnswer with the endpoint's name."""
    if found := _BARE.search(bytes(raw)):
        raise BadAnswer(endpoint, f"{found[1].decode()} is a number, money comes as text")
    try:
        answer = msgspec.json.decode(raw, type=kind, strict=False)
        _check(answer, "answer")
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadAnswer(endpoint, str(error)) from None
    return answer


def key_info(raw: dict[str, Any]) -> KeyInfo:
    """The key's description, whether its fields are in camelCase or in snake_case."""
    snake = {re.sub("[A-Z]", lambda hit: f"_{hit[0].lower()}", name): raw[name] for name in raw}
    return decode(msgspec.Raw(msgspec.json.encode(snake)), KeyInfo, "GetApiKeyInfo")


def report(txid: str, order: Order, client_id: str, base: str, quote: str) -> OrderReport:
    """One order of ours; ``price`` is its limit, which is not the ``price`` Kraken tells. Kraken
    tells a fee in quote even where it takes it in base: what that was, its own ledger corrects.
    """
    state: Any = _STATES.get(order.status, order.status)
    fee, fee_asset = order.fee, quote
    if "fcib" in order.oflags and order.cost:
        fee, fee_asset = (fee * order.vol_exec / order.cost).quantize(BASE_STEP), base
    return OrderReport(
        client_id, txid, order.descr["type"], limit_price(order), order.vol, state, order.vol_exec,
        order.cost, fee, fee_asset, order.opentm, order.closetm, tuple(order.trades or ()),
        order.reason or "",
    )  # fmt: skip


def check_figures(txid: str, order: Order) -> None:
    """Raise BadAnswer if a limit order of ours cannot have executed so much for so much."""
    worth = limit_price(order) * order.vol_exec
    if not ZERO <= order.vol_exec <= order.vol or abs(order.cost - worth) > worth / 2 + COST_SLACK:
        raise BadAnswer("orders", f"{txid}: {order.vol_exec} of {order.vol} for {order.cost}")


def limit_price(order: Order) -> Decimal:
    """The limit of a limit order, in quote."""
    try:
        return parse_decimal(order.descr["price"], "descr.price")
    except ValueError as error:
        raise BadAnswer("orders", str(error)) from None


def _check(value: object, name: str) -> None:
    """Raise ValueError for a number that is infinite, none, or of insane size."""
    if isinstance(value, Decimal):
        check_decimal(value, name)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name}: {value} is not a time")
    elif isinstance(value, list):
        for one in value:
            _check(one, name)
    elif isinstance(value, dict | msgspec.Struct):
        fields = value if isinstance(value, dict) else msgspec.structs.asdict(value)
        for key, one in fields.items():
            _check(one, f"{name}.{key}")
