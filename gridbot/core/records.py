"""The value types everybody shares: orders, reports, steps, outputs, events, ledger entries.

All are frozen msgspec Structs: cheap to make, cheap to copy with ``msgspec.structs.replace``,
encoded to JSON as they stand. Money, prices and volumes are Decimal; times are UTC epoch seconds;
"quote" and "base" name the two assets of the pair.
"""

from decimal import Decimal
from typing import Any, Literal

import msgspec

from gridbot.core.numbers import ZERO

Side = Literal["buy", "sell"]
TradeId = Literal["A", "B"]
Role = Literal["entry", "exit", "recovery"]
Severity = Literal["info", "good", "warn", "bad"]
OrderReportState = Literal["open", "closed", "cancelled", "expired"]
OutcomeKind = Literal["accepted", "refused", "later", "unknown", "absent"]
Verb = Literal["place", "amend", "cancel"]


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of what is journalled or published: defaults are left out of the JSON."""


class Instrument(Record, frozen=True):
    """What the exchange says about the pair; ``min_cost`` in quote, ``min_volume`` in base."""

    pair: str
    base: str
    quote: str
    price_decimals: int
    tick_size: Decimal
    volume_decimals: int
    cost_decimals: int
    min_volume: Decimal
    min_cost: Decimal
    status: str = "online"


class Fees(Record, frozen=True):
    """Fees in percent; ``source`` says where they come from (account, assumed, simulated)."""

    maker_pct: Decimal
    taker_pct: Decimal
    source: str


class Quote(Record, frozen=True):
    """Best bid and ask, last trade, and when this was read."""

    bid: Decimal
    ask: Decimal
    last: Decimal
    at: float


class Balance(Record, frozen=True):
    """One asset on the account: spendable units only. ``held`` is what resting orders reserve,
    ``foreign`` the part of it that orders of somebody else hold, ``elsewhere`` what the exchange
    keeps under another name of the asset (staked, earning) and cannot be traded."""

    total: Decimal
    held: Decimal = ZERO
    foreign: Decimal = ZERO
    elsewhere: Decimal = ZERO


class Execution(Record, frozen=True):
    """One trade of one of our orders; ``fee`` in ``fee_asset``."""

    trade_id: str
    client_id: str
    exchange_id: str
    side: Side
    at: float
    price: Decimal
    volume: Decimal
    cost: Decimal
    fee: Decimal
    fee_asset: str


class OwnLedgerRow(Record, frozen=True):
    """One row of the exchange's own books about our account; the account changes by
    ``amount - fee``. ``ref_id``: the trade or transfer it belongs to. ``client_id``: of the order
    whose trade it is, empty for orders without one and for everything else."""

    row_id: str
    at: float
    kind: str
    asset: str
    amount: Decimal
    fee: Decimal
    balance: Decimal
    ref_id: str = ""
    client_id: str = ""


class OrderRequest(Record, frozen=True):
    """An order to be placed. ``deadline``: the exchange must refuse it after this time."""

    client_id: str
    slot_id: int
    trade_id: TradeId
    role: Role
    side: Side
    price: Decimal
    volume: Decimal
    post_only: bool = True
    deadline: float = 0.0


class AmendRequest(Record, frozen=True):
    """A resting order moved: same ids, new price and new *total* volume (filled part included)."""

    client_id: str
    price: Decimal
    volume: Decimal
    deadline: float = 0.0


class OrderReport(Record, frozen=True):
    """What the exchange says about one of our orders; executed, cost and fee are cumulative."""

    client_id: str
    exchange_id: str
    side: Side
    price: Decimal
    volume: Decimal
    state: OrderReportState
    executed: Decimal = ZERO
    cost: Decimal = ZERO
    fee: Decimal = ZERO
    fee_asset: str = ""
    opened_at: float = 0.0
    closed_at: float | None = None
    trade_ids: tuple[str, ...] = ()
    reason: str = ""


class OpenOrders(Record, frozen=True):
    """All our open orders at one moment: complete, or the call raised."""

    reports: tuple[OrderReport, ...]
    at: float


class Outcome(Record, frozen=True):
    """The answer to one write: a closed set, never an exception.
    accepted (``exchange_id``) · refused (``code``, ``text``) · later (not now, ``until``) ·
    unknown (may or may not have happened: never re-sent, looked up by client id) · absent (a
    look-up of an unknown one found nothing)."""

    client_id: str
    verb: Verb
    kind: OutcomeKind
    exchange_id: str = ""
    code: str = ""
    text: str = ""
    until: float = 0.0


class Command(Record, frozen=True):
    """What an operator asks. ``id`` is made by the client: sent twice it acts once."""

    id: str
    at: float
    actor: str
    action: str
    args: dict[str, Any] = {}


class Ack(Record, frozen=True):
    """The engine's answer to a command. Code ``confirm`` only asks: the same command does it with
    the argument ``force``, being ``confirm``, which names what the question was about, or else True
    for whatever it is by then."""

    command_id: str
    ok: bool
    message: str
    code: str = ""
    confirm: str = ""


class Event(Record, frozen=True):
    """Something happened. ``data`` carries the figures, ``engine.narration`` the words."""

    id: int
    at: float
    kind: str
    severity: Severity
    slot: int | None = None
    trade: str | None = None
    order: str | None = None
    data: dict[str, Any] = {}
    text: str = ""


# --- the ledger -----------------------------------------------------------------------------

EntryType = Literal[
    "OPENING_BALANCE", "BUY_ENTRY", "SELL_ENTRY", "BUY_EXIT", "SELL_EXIT", "RECOVERY_FILL", "FEE",
    "ROUNDING", "TRANSFER", "EXTERNAL_TRADE", "CYCLE_PROFIT", "WRITE_OFF", "RECOVERY_CANCEL",
    "RECONCILIATION_DRIFT",
]  # fmt: skip


class LedgerEntry(Record, frozen=True):
    """One line of the books. Debits leave the account, credits enter it; both are zero on memo
    rows (CYCLE_PROFIT, WRITE_OFF, RECOVERY_CANCEL, RECONCILIATION_DRIFT), whose result stands in
    ``realised_quote``. ``fee_*`` on an execution row repeats its FEE row for reading only.
    ``id`` runs from 1 without a gap, ``seq`` is the journal step that caused the entry."""

    id: int
    seq: int
    timestamp: float
    entry_type: EntryType
    slot_id: int = 0
    trade_id: str = ""
    cycle: int = 0
    debit_quote: Decimal = ZERO
    credit_quote: Decimal = ZERO
    debit_base: Decimal = ZERO
    credit_base: Decimal = ZERO
    realised_quote: Decimal = ZERO
    volume_closed: Decimal = ZERO
    price: Decimal = ZERO
    fee_quote: Decimal = ZERO
    fee_base: Decimal = ZERO
    client_id: str = ""
    txid: str = ""
    order_local_id: int = 0
    balance_quote_after: Decimal = ZERO
    balance_base_after: Decimal = ZERO
    note: str = ""
    prev_hash: str = ""
    hash: str = ""


class Changes(Record, frozen=True):
    """Facts that changed outside the market: instrument, fees, an edited configuration, loss and
    return of the price, a spread too wide, room on the disk, orders on the pair that are not ours,
    trouble with the exchange ("" when it is over), a reason to halt, and the number of our newest
    order on the account, if an older state goes on from it."""

    instrument: Instrument | None = None
    settings: dict[str, Any] | None = None
    fees: Fees | None = None
    price_lost: bool | None = None
    spread_wide: bool | None = None
    disk: Literal["ok", "low", "critical"] | None = None
    foreign_orders: int | None = None
    trouble: str | None = None
    halt: str | None = None
    order_number: int | None = None


class StepInput(Record, frozen=True, tag="step", tag_field="k"):
    """All that one step saw: the only thing the core may depend on.
    ``price`` is None when this step carries no new accepted price. ``previous_*`` is the last
    accepted price before it. ``bid``/``ask`` are left out where both equal ``price`` (simulated
    market). ``digest`` vouches for the outputs of the previous step."""

    seq: int
    at: float
    previous_at: float = 0.0
    previous_price: Decimal | None = None
    price: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    reports: tuple[OrderReport, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    balances: dict[str, Balance] | None = None
    own_rows: tuple[OwnLedgerRow, ...] = ()
    commands: tuple[Command, ...] = ()
    recommendations: tuple[dict[str, Any], ...] = ()
    changes: Changes | None = None
    digest: int = 0


class HeaderRecord(Record, frozen=True, tag="header", tag_field="k"):
    """First line of every journal segment. ``core``: version of the trading brain that wrote it."""

    version: int
    core: int
    mode: str
    pair: str
    instance: str
    first_seq: int
    created_at: float


class BootRecord(Record, frozen=True, tag="boot", tag_field="k"):
    """The core as it began (first segment only): a state like the one in a snapshot."""

    state: dict[str, Any]


class SendingRecord(Record, frozen=True, tag="sending", tag_field="k"):
    """These client ids are about to be sent (W4): without it nothing was sent."""

    seq: int
    client_ids: tuple[str, ...]
    deadline: float = 0.0


class HeartbeatRecord(Record, frozen=True, tag="heartbeat", tag_field="k"):
    """A live engine's proof of life, the last proven point for reconciliation."""

    at: float


JournalRecord = StepInput | HeaderRecord | BootRecord | SendingRecord | HeartbeatRecord
