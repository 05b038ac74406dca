"""What works with Kraken and no engine: the emergency brake, and our books beside Kraken's own.

Here is also what every command needs to act for the operator: where the key is, the way to the
account, and the question before real money is used for the first time.
"""

import asyncio
import os
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import click
import platformdirs

from gridbot.commands.choices import Choices
from gridbot.config import ConfigError, LoadedConfig
from gridbot.config_schema import columns
from gridbot.core.numbers import plain
from gridbot.core.orders import CLIENT_PREFIX, client_prefix
from gridbot.core.records import LedgerEntry, OwnLedgerRow
from gridbot.core.settings import Settings
from gridbot.engine import inspect
from gridbot.engine.directory import DataDirectory
from gridbot.exchange.kraken.account import KrakenExchange
from gridbot.exchange.kraken.credentials import find_credentials
from gridbot.exchange.kraken.private import PrivateKraken
from gridbot.exchange.kraken.public import PublicKraken
from gridbot.exchange.kraken.signing import Credentials
from gridbot.exchange.protocol import RateLimited, RetryLater

SETTLE_SECONDS = 600.0  # an engine looks into Kraken's ledger every five minutes
NONCE_TRIES = 5
FRUITLESS_WAITS_MAX = 5
NOT_OURS = "not ours"
Sums = defaultdict[tuple[str, str], Decimal]  # by client id and asset


def default_config() -> Path:
    """Where the configuration is looked for when nobody names another place."""
    return Path(platformdirs.user_config_dir("gridbot"), "config.toml")


def credentials_file(loaded: LoadedConfig) -> Path:
    """The configured key file (relative to the configuration), or the one beside it."""
    chosen = loaded.values["exchange.credentials_file"] or "credentials"
    return (loaded.config_path or default_config()).absolute().parent / Path(chosen).expanduser()


def credentials_of(loaded: LoadedConfig) -> Credentials:
    """The operator's key for live trading; raises CredentialsError."""
    return find_credentials(os.environ, credentials_file(loaded))


def confirm_first_live(settings: Settings, path: Path, yes: bool) -> None:
    """Before real orders from a new directory: have the pair typed, unless ``yes``."""
    used = path.is_dir() and DataDirectory.inspect(path).identity is not None
    if settings.run.mode != "live" or yes or used:
        return
    pair = settings.exchange.pair or ""
    if not sys.stdin.isatty():
        raise click.UsageError(f"the first live start in {path} needs --yes, or a terminal.")
    typed = click.prompt(f"REAL orders on {pair}, kept in {path}. Type the pair", err=True)
    if typed.strip().upper() != pair.upper():
        raise click.UsageError(f"that was not {pair}: nothing was started.")


@asynccontextmanager
async def public(settings: Settings) -> AsyncIterator[PublicKraken]:
    """What Kraken tells everybody; closed afterwards."""
    kraken = PublicKraken(settings.exchange.base_url)
    try:
        yield kraken
    finally:
        await kraken.close()


async def private(
    loaded: LoadedConfig, public: PublicKraken, credentials: Credentials | None = None
) -> PrivateKraken:
    """The account, by default with the key that a start would find."""
    tier, key = loaded.settings.exchange.tier or "starter", credentials or credentials_of(loaded)
    account = PrivateKraken(public, key, tier, None)  # the nonce file is the engine's
    for _ in range(NONCE_TRIES):  # an engine on this key may be minutes ahead; a refusal jumps
        try:
            await account.key_info()
            break
        except RetryLater as error:
            if "nonce" not in str(error):
                raise
    return account


# ---- gridbot cancel-orders


def cancel_orders(choices: Choices, prefix: str, yes: bool) -> None:
    """Cancel what carries our client ids; exits 1 if some of it is still there."""
    loaded = choices.load()
    mode, origin = loaded.settings.run.mode, loaded.origins["run.mode"]
    if mode != "live" and origin != "default":
        way = f"name a live configuration, or none: --config {os.devnull}"
        raise ConfigError([f'{origin}: run.mode = "{mode}" has no orders at Kraken: {way}'])
    if not prefix.startswith(CLIENT_PREFIX):
        raise click.UsageError(f"--prefix {prefix}: our client ids begin with {CLIENT_PREFIX}.")
    left = asyncio.run(_cancel(loaded, prefix, choices.options.get("pair"), yes))
    if left:
        raise click.ClickException(f"{left} orders are left: try again in a minute")


async def _cancel(loaded: LoadedConfig, prefix: str, pair: str | None, yes: bool) -> int:
    async with public(loaded.settings) as kraken:
        account = await private(loaded, kraken)
        only = (await kraken.listing(pair)).altname if pair else ""
        orders = await _open_orders(account, prefix, only)
        print("\n".join(columns(orders)) if orders else f"no open order begins with {prefix}")
        if not orders:
            return 0
        if not yes:
            click.confirm(f"Cancel these {len(orders)}?", abort=True, err=True)
        exchange = KrakenExchange(kraken, account, await kraken.instrument(orders[0][1]), prefix)
        await exchange.cancel([client_id for client_id, *_ in orders])
        left = len(await _open_orders(account, prefix, only))
    print(f"{len(orders) - left} cancelled, {left} left")
    return left


async def _open_orders(account: PrivateKraken, prefix: str, pair: str) -> list[tuple[str, ...]]:
    """Client id, pair, side, limit and volume of each, of one pair (altname) or of all."""
    return [
        (row.cl_ord_id, *(row.descr[name] for name in ("pair", "type", "price")), plain(row.vol))
        for row in (await account.open_orders()).values()
        if row.cl_ord_id and row.cl_ord_id.startswith(prefix) and pair in ("", row.descr["pair"])
    ]


# ---- gridbot ledger reconcile


def reconcile(choices: Choices) -> None:
    """Print where our books and Kraken's ledger differ; exits 1 if they do."""
    loaded = choices.load()
    path, names = loaded.data_dir, loaded.settings.persistence
    identity = DataDirectory.inspect(path).identity
    if identity is None or identity.mode != "live":
        raise ConfigError([f"{path}: only live books have a counterpart at Kraken"])
    opened = inspect.ledger_tail(path, names, None, sys.maxsize)[0].timestamp
    rows = asyncio.run(_own_rows(loaded, identity.pair, opened))
    entries = inspect.ledger_tail(path, names, None, sys.maxsize)  # it may have grown meanwhile
    prefix, at = client_prefix(identity.instance), time.time() - SETTLE_SECONDS
    lines, young = differences(entries, rows, identity.pair, prefix, at)
    head = ("order", "asset", "our books", "Kraken's", "difference")
    print("\n".join(columns([head, *lines])) if lines else "all sums are equal")
    print(f"{len(rows)} rows of Kraken's compared, {young} sums left out as too young")
    if lines:
        raise click.ClickException(f"{len(lines)} sums differ from Kraken's ledger")


async def _own_rows(loaded: LoadedConfig, pair: str, since: float) -> list[OwnLedgerRow]:
    """All rows from ``since`` on, at the speed that the call counter allows."""
    async with public(loaded.settings) as kraken:
        account = await private(loaded, kraken)
        exchange = KrakenExchange(kraken, account, await kraken.instrument(pair), CLIENT_PREFIX)
        rows, cursor, before, waits = list[OwnLedgerRow](), str(since), -1, 0
        while len(rows) > before:
            try:
                found, cursor = await exchange.own_ledger(cursor)
                before, rows, waits = len(rows), rows + found, 0
            except RateLimited as error:
                waits += 1
                if waits > FRUITLESS_WAITS_MAX:
                    raise click.ClickException(
                        "somebody else uses up this key's calls: stop the engine for a while, or "
                        "compare exchange.tier with the account's"
                    ) from None
                print(f"gridbot: note: {error}; waiting", file=sys.stderr)
                await asyncio.sleep(max(error.until - time.time(), 1.0))
        return rows


def differences(
    entries: Iterable[LedgerEntry], rows: Iterable[OwnLedgerRow], pair: str, prefix: str, at: float
) -> tuple[list[tuple[str, ...]], int]:
    """Sums per order and asset that are not equal, and how many others moved after ``at``.
    What is not of our orders (``prefix``) is one sum: transfers, and trades of others.
    """
    base, _, quote = pair.partition("/")
    ours, theirs, last = Sums(Decimal), Sums(Decimal), dict[tuple[str, str], float]()
    for one in entries:
        who = NOT_OURS if one.entry_type in ("TRANSFER", "EXTERNAL_TRADE") else one.client_id
        moved = {quote: one.credit_quote - one.debit_quote, base: one.credit_base - one.debit_base}
        for asset, amount in moved.items():
            if amount and one.entry_type != "OPENING_BALANCE":
                ours[who, asset] += amount
                last[who, asset] = max(last.get((who, asset), 0.0), one.timestamp)
    for row in rows:
        key = (row.client_id if row.client_id.startswith(prefix) else NOT_OURS, row.asset)
        theirs[key] += row.amount - row.fee
        last[key] = max(last.get(key, 0.0), row.at)
    differ = [key for key in last if ours[key] != theirs[key]]
    old = [(key, ours[key], theirs[key]) for key in differ if last[key] < at]
    return [(*key, plain(a), plain(b), plain(a - b)) for key, a, b in old], len(differ) - len(old)
