"""The outside market as the engine sees it: one Protocol, whatever stands behind it.

Reads raise one of the errors below; writes answer with Outcome values and raise only Fatal.

    ExchangeError
    |- RetryLater      temporary: ask again next poll
    |- RateLimited     too fast: nothing before ``until``
    |- BadAnswer       an answer we do not understand, with the endpoint's name
    `- Fatal           key, permission, account, pair: the engine halts
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from gridbot.core.orders import LiveOrder
from gridbot.core.records import (
    AmendRequest,
    Balance,
    Execution,
    Fees,
    Instrument,
    OpenOrders,
    OrderReport,
    OrderRequest,
    Outcome,
    OwnLedgerRow,
    Quote,
)


class ExchangeError(Exception):
    """Base of everything a read may raise."""


class RetryLater(ExchangeError):
    """The exchange or the way to it is temporarily not there."""


class RateLimited(ExchangeError):
    """Refused for being too fast; ``until`` is the epoch second from which to try again."""

    def __init__(self, text: str, until: float) -> None:
        super().__init__(text)
        self.until = until


class BadAnswer(ExchangeError):
    """The answer of ``endpoint`` had an unexpected shape."""

    def __init__(self, endpoint: str, text: str) -> None:
        super().__init__(f"{endpoint}: {text}")
        self.endpoint = endpoint


class Fatal(ExchangeError):
    """Nothing that waiting would mend. ``outcomes``: of the writes that are certain anyhow."""

    outcomes: Sequence[Outcome] = ()


KnownOrders = Callable[[], Sequence[LiveOrder]]


def nothing_known() -> Sequence[LiveOrder]:
    """For exchanges that need not be told which orders we believe to be there."""
    return ()


class Exchange(Protocol):
    """One pair on one account. Times are epoch seconds, cursors are opaque texts ("" = start).
    ``foreign_orders``: open orders on the pair that are not ours, as last seen. ``rules_stale``:
    rules and fees of the pair should be read again.
    """

    foreign_orders: int

    @property
    def rules_stale(self) -> bool: ...

    def api_use(self, at: float) -> dict[str, float]:
        """Points used of the rate counters, and their limits, by name."""
        ...

    async def instrument(self) -> Instrument: ...
    async def fees(self) -> Fees: ...
    async def quote(self) -> Quote: ...
    async def balances(self) -> dict[str, Balance]: ...
    async def open_orders(self) -> OpenOrders: ...
    async def reports(self, orders: Sequence[LiveOrder]) -> list[OrderReport]:
        """Reports of these orders, open or done; an order the exchange never had is left out."""
        ...

    async def changes(
        self, cursor: str, known: KnownOrders = nothing_known
    ) -> tuple[list[OrderReport], str]:
        """Reports of own orders that filled or ended since ``cursor``, each once, and a new cursor.
        What our own placing and amending did is told by its outcome, not here. ``known``: the
        orders we believe to be at the exchange, with the figures already booked; an exchange that
        keeps no log of changes finds them by comparing. It never misses one.
        """
        ...

    async def find(self, client_ids: Sequence[str], since: float) -> list[OrderReport]:
        """Look for orders by client id, first among the open, then among those closed since. One
        that is not among the answers is not there: an answer that is not complete raises.
        """
        ...

    async def executions(self, cursor: str) -> tuple[list[Execution], str]: ...
    async def own_ledger(self, cursor: str) -> tuple[list[OwnLedgerRow], str]: ...
    async def place(self, requests: list[OrderRequest]) -> list[Outcome]: ...
    async def amend(self, requests: list[AmendRequest]) -> list[Outcome]: ...
    async def cancel(self, client_ids: list[str]) -> list[Outcome]: ...
    async def close(self) -> None: ...
