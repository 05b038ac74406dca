"""``gridbot plan``, ``doctor`` and ``init``: all that comes before real orders.

The plan is the brain's own: a fresh one is given the configured funds and the price, and what it
would send is shown; for the worst case it sees its buys filled and the price fall. Outside live
trading no private request is made and no key is looked for.
"""

import asyncio
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import tomli_w

from gridbot.commands import TEXTS, kraken
from gridbot.commands.choices import KEYS, Choices
from gridbot.commands.look import Report
from gridbot.config import ConfigError, LoadedConfig, load
from gridbot.config_schema import Refused, Row, columns, convert, rows
from gridbot.config_sources import ENV_CONFIG
from gridbot.core.brain import Brain
from gridbot.core.numbers import HUNDRED, ZERO, plain, round_half_even, use_exact_arithmetic
from gridbot.core.orders import CLIENT_PREFIX, client_prefix
from gridbot.core.records import Command, Fees, Instrument, OrderReport, Quote, StepInput
from gridbot.core.settings import Settings
from gridbot.engine import inspect
from gridbot.engine.directory import DataDirectory, free_space_state
from gridbot.engine.disk import Disk, EngineFileError
from gridbot.engine.telemetry import market_odds
from gridbot.engine.venues import plan_venue, venue_fees
from gridbot.exchange.instruments import DEFAULT_PAIR, UnknownPair
from gridbot.exchange.kraken.account import KrakenExchange
from gridbot.exchange.kraken.answers import KeyInfo
from gridbot.exchange.kraken.credentials import DIRECTORY, KEY, SECRET, CredentialsError, checked
from gridbot.exchange.kraken.public import PublicKraken
from gridbot.exchange.kraken.signing import Credentials
from gridbot.exchange.protocol import ExchangeError

FALL = Decimal("0.7")
CLOCK_SECONDS, CLOCK_FAR_SECONDS = 2.0, 60.0
EXPIRY_SECONDS = 14 * 86_400
Plan = dict[str, Any]


# ---- gridbot plan


def show_plan(choices: Choices, as_json: bool) -> None:
    """Print the plan of a first start with this configuration."""
    plan = asyncio.run(_plan(choices.load().settings))
    print(msgspec.json.encode(plan).decode() if as_json else plan_text(plan))


def plan_text(plan: Plan) -> str:
    """The plan for people."""
    table = [("slot", "side", "price", "volume", "worth")]
    for one in plan["orders"]:
        figures = (one.price, one.volume, round_half_even(one.price * one.volume, 2))
        table.append((f"{one.slot_id}.{one.trade_id}", one.side, *map(plain, figures)))
    lines = [*columns(table), *(f"waits: {text}" for text in plan["waiting"])]
    capital, needed = (
        ", ".join(f"{plain(amount)} {asset}" for asset, amount in plan[name].items())
        for name in ("capital", "needed")
    )
    words = plan | {"capital": capital, "needed": needed, "table": "\n".join(lines)}
    return Report().format(TEXTS["reports"]["plan"], count=len(table) - 1, **words)


async def _plan(settings: Settings) -> Plan:
    if settings.run.mode == "sim":
        venue = plan_venue(settings)
        price = Decimal(venue.start_units).scaleb(-venue.instrument.price_decimals)
        quote = Quote(price, price, price, 0.0)
        return plan_first_start(settings, venue.instrument, quote, venue_fees(venue))
    async with kraken.public(settings) as public:
        pair = await public.instrument(settings.exchange.pair or DEFAULT_PAIR)
        quote = await public.quote(pair.pair)
        return plan_first_start(settings, pair, quote, _assumed(settings))


def _assumed(settings: Settings) -> Fees:
    return Fees(settings.fees.maker_fee_pct, settings.fees.maker_fee_pct, "assumed")


def plan_first_start(settings: Settings, pair: Instrument, quote: Quote, fees: Fees) -> Plan:
    """What a fresh engine would place at ``quote``; percentages in percent.
    Funds that are not an amount are taken to be twice what the slots need.
    """
    brain, now, mid = Brain(settings, pair, fees, "plan"), time.time(), (quote.bid + quote.ask) / 2
    enough, funds = plan_venue(settings, pair, mid), settings.funds
    sides = ("quote", funds.quote, enough.quote_balance), ("base", funds.base, enough.base_balance)
    opening = {side: str(a if isinstance(a, Decimal) else b) for side, a, b in sides}
    boot = Command("boot", now, "plan", "boot", opening)
    first = StepInput(1, now, price=mid, bid=quote.bid, ask=quote.ask, commands=(boot,))
    places, claims = brain.step(first).places, brain.registry
    capital = {pair.quote: claims.claimed_quote, pair.base: claims.claimed_base}
    needed = dict(capital)
    for wait in brain.pools.values():
        needed[pair.base if wait.asset_is_base else pair.quote] += wait.need or ZERO
    slots, target, floor = brain.slots.values(), settings.grid.profit_pct, brain.fee_floor_pct
    waits = [(f"{slot.id}.{one}", wait) for slot in slots for one, wait in slot.waiting.items()]
    return {
        "mode": settings.run.mode, "pair": pair.pair, "price": mid, "orders": places,
        "waiting": [f"{who} {wait.reason} {wait.text}".rstrip() for who, wait in waits],
        "capital": capital, "needed": needed, "fees": fees, "break_even_pct": 2 * fees.maker_pct,
        "fee_floor_pct": floor, "profit_pct": target, "worst_case": _worst_case(brain, mid),
    }  # fmt: skip


def _worst_case(brain: Brain, price: Decimal) -> dict[str, Decimal]:
    """All buys filled and the price fallen: what the brain's books make of it, in quote."""
    low, bought, filled, to_sell = price * FALL, ZERO, [], brain.registry.claimed_base
    for live in [one for one in brain.registry.by_client.values() if one.side == "buy"]:
        cost = live.price * live.volume
        filled.append(OrderReport(
            live.client_id, live.client_id, "buy", live.price, live.volume, "closed", live.volume,
            cost, cost * brain.fees.maker_pct / HUNDRED, brain.instrument.quote,
        ))  # fmt: skip
        bought += cost
    brain.step(StepInput(2, brain.now + 1, brain.now, price, low, low, low, tuple(filled)))
    positions = brain.books.unrealised_total(low)
    money = {"price": low, "bought": bought, "positions": positions}
    money["all"] = positions + to_sell * (low - price)
    return {name: round_half_even(amount, 2) for name, amount in money.items()}


# ---- gridbot doctor


class Check(NamedTuple):
    """One line: ok, warning or failed, what was seen, and what to do."""

    state: str
    name: str
    text: str
    advice: str = ""


class Checks(list[Check]):
    """What was found; the advice comes from texts.toml."""

    failed = False

    def note(self, name: str, text: str, wrong: bool = False, state: str = "warning") -> None:
        """Add a line that is ok, or ``state`` if something is wrong."""
        fine = Check("ok", name, text)
        self.append(Check(state, name, text, TEXTS["advice"][name]) if wrong else fine)
        self.failed |= wrong and state == "failed"

    def __str__(self) -> str:
        rows = [(one.state, one.name, " -> ".join(filter(None, one[2:]))) for one in self]
        return "\n".join(columns(rows))


def report_health(choices: Choices, as_json: bool) -> None:
    """Print every check; exits 1 if one failed."""
    checks = Checks()
    try:
        checks = asyncio.run(examine(choices.load()))
    except ConfigError as error:
        for problem in error.problems:
            checks.note("config", problem, True, "failed")
    print(json.dumps([check._asdict() for check in checks]) if as_json else checks)
    sys.exit(checks.failed)


async def examine(loaded: LoadedConfig, credentials: Credentials | None = None) -> Checks:
    """All checks of a configuration, with the key that a start would find unless one is given."""
    found, mode = Checks(), loaded.settings.run.mode
    found.note("config", f"{loaded.config_path or 'no file'}, mode {mode}")
    try:
        if mode != "sim":
            async with kraken.public(loaded.settings) as public:
                await _market(found, loaded, public, credentials)
    except (ExchangeError, UnknownPair, CredentialsError) as error:
        names = {"UnknownPair": "pair", "CredentialsError": "key"}
        name = names.get(type(error).__name__, "account" if len(found) > 1 else "connectivity")
        found.note(name, str(error), True, "failed")
    try:
        _directory(found, loaded)
    except EngineFileError as error:
        found.note("data directory", str(error), True, "failed")
    return found


async def _market(
    found: Checks, loaded: LoadedConfig, public: PublicKraken, credentials: Credentials | None
) -> None:
    settings = loaded.settings
    await public.server_time()
    found.note("connectivity", f"{settings.exchange.base_url} answers")
    off = abs(public.offset_seconds)
    state = "failed" if off > CLOCK_FAR_SECONDS else "warning"
    found.note("clock", f"{off:.1f} s from Kraken's", off > CLOCK_SECONDS, state)
    status = await public.system_status()
    found.note("system status", status, status != "online")
    pair = await public.instrument(settings.exchange.pair or DEFAULT_PAIR)
    rules = Report().format(TEXTS["reports"]["pair"], p=pair)
    found.note("pair", rules, pair.status != "online")
    fees, account = _assumed(settings), None
    if settings.run.mode == "live":
        private = await kraken.private(loaded, public, credentials)
        _rights(found, await private.key_info())
        account = KrakenExchange(public, private, pair, CLIENT_PREFIX)
        fees = await account.fees()
    plan = plan_first_start(settings, pair, await public.quote(pair.pair), fees)
    low = plan["profit_pct"] < plan["fee_floor_pct"]
    found.note("fees", Report().format(TEXTS["reports"]["fees"], **plan), low, "failed")
    if bet := (await market_odds(settings, pair, fees.maker_pct))[-1]:
        found.note("odds", bet.warning or bet.text, bool(bet.warning))
    small = [text for text in plan["waiting"] if "minimum size" in text]
    size = f"{plain(settings.grid.order_size)} {pair.quote}"
    found.note("order size", small[0] if small else size, bool(small), "failed")
    if account is not None:
        await _account(found, loaded, account, plan["needed"])


def _rights(found: Checks, key: KeyInfo) -> None:
    missing = [site for right, site in TEXTS["rights"].items() if right not in key.permissions]
    for site in missing or [""]:
        found.note("right", f"missing: {site}" if site else "all there", bool(site), "failed")
    for name, wrong, text in (
        ("withdrawals", "withdraw-funds" in key.permissions, "THIS KEY CAN WITHDRAW YOUR FUNDS"),
        ("nonce window", key.nonce_window != 0, "not 0"),
        ("expiry", 0 < key.valid_until < time.time() + EXPIRY_SECONDS, "within two weeks"),
        ("query range", key.query_to != 0, "ends at a date"),
        ("ip allow-list", not any(key.ip_allowlist), "the key works from anywhere"),
    ):
        if wrong:
            found.note(name, text, True)


async def _account(
    found: Checks, loaded: LoadedConfig, account: KrakenExchange, needed: dict[str, Decimal]
) -> None:
    balances = await account.balances()
    for asset, need in needed.items():
        there = balances[asset].total - balances[asset].foreign
        text = f"{plain(need)} {asset} for all slots, {plain(there)} there"
        found.note("capital", text, there < need)
    others = account.foreign_orders
    found.note("other orders", f"{others} on the pair", others > 0)
    ids = [one.client_id for one in (await account.open_orders()).reports]
    identity = loaded.data_dir.is_dir() and DataDirectory.inspect(loaded.data_dir).identity
    known = identity and client_prefix(identity.instance)
    lost = sum(not (known and one.startswith(known)) for one in ids)
    found.note("our orders", f"{len(ids)}, {lost} of another data directory", lost > 0)


def _directory(found: Checks, loaded: LoadedConfig) -> None:
    path, names = loaded.data_dir, loaded.settings.persistence
    if not path.is_dir():
        found.note("data directory", f"{path} will be made")
        return
    identity, running, pid = DataDirectory.inspect(path)
    whose = f"{identity.mode} {identity.pair}" if identity else "nobody yet"
    text = f"{path} belongs to {whose}" + (f", process {pid} works there" if running else "")
    other = identity is not None and identity.mode != loaded.settings.run.mode
    found.note("data directory", text, other, "failed")
    space = free_space_state(Disk(), path)
    found.note("disk", f"room: {space}", space != "ok", "warning" if space == "low" else "failed")
    if (path / names.ledger_file).exists():
        report, _ = inspect.verify_ledger(path, names)
        text = f"{report.entries} entries verified" if report.ok else report.problems[0]
        found.note("ledger", text, not report.ok, "failed")


# ---- gridbot init


def make_configuration(choices: Choices, force: bool) -> None:
    """Ask what no option answers, check, write; asks before it overwrites a file or keeps what did
    not check out. A key file that is there stays.
    """
    use_exact_arithmetic()
    chosen = choices.config or os.environ.get(ENV_CONFIG) or kraken.default_config()
    target = Path(chosen).absolute()
    if target.exists() and not (force or _ask(click.confirm, f"{target} exists. Write a new one?")):
        raise click.Abort
    loaded = msgspec.structs.replace(_answered(choices), config_path=target)
    file, credentials = kraken.credentials_file(loaded), None
    if loaded.settings.run.mode == "live":
        credentials = _credentials(loaded)
    checks = asyncio.run(examine(loaded, credentials))
    print(checks)
    if checks.failed and not (force or _ask(click.confirm, "Not all is well. Write it?")):
        raise click.Abort
    values = loaded.values | {"persistence.data_dir": str(loaded.data_dir)}
    document = defaultdict[str, dict[str, Any]](dict)
    for key, origin in loaded.origins.items():
        section, name = key.split(".")
        if origin != "default" and values[key] is not None:
            document[section][name] = values[key]
    _write(target, tomli_w.dumps(document))
    if credentials is not None and not file.exists():
        _write(file, f"{KEY}={credentials.key}\n{SECRET}={credentials.secret}\n")
    print(TEXTS["reports"]["init"].format(config=target))


def _ask(prompt: Callable[..., Any], question: str, **options: Any) -> Any:
    try:
        return prompt(question, err=True, **options)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo(err=True)  # the question has no newline
        raise click.UsageError(f"nobody answers: {question} Give its option or --force.") from None


def _answered(choices: Choices) -> LoadedConfig:
    """The settings of options and answers, checked as in any other configuration."""
    given = {KEYS[name]: text for name, text in choices.options.items()} | dict(choices.settings)
    for name, question in TEXTS["init"].items():
        key, mode = KEYS[name], given.get("run.mode", "")
        if key not in given and mode in question.get("modes", mode):
            check, default = partial(_accepted, rows()[key]), question.get("default")
            given[key] = _ask(click.prompt, question["ask"], default=default, value_proc=check)
    typed = {KEYS[name]: f"--{name.replace('_', '-')}" for name in choices.options}
    return load(Path(os.devnull), {}, given.items(), typed)


def _accepted(row: Row, text: str) -> str:
    try:
        convert(row, text, from_text=True)
    except Refused as error:
        raise click.BadParameter(str(error)) from None
    return text


def _credentials(loaded: LoadedConfig) -> Credentials:
    env = any(map(os.environ.get, (KEY, SECRET, DIRECTORY)))
    if env or kraken.credentials_file(loaded).exists():
        return kraken.credentials_of(loaded)
    key, secret = (_ask(click.prompt, f"{x} (not shown)", hide_input=True) for x in (KEY, SECRET))
    return checked(key, secret, "your answer")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.with_name(f"{path.name}.tmp").unlink(missing_ok=True)  # it may be open to others
    Disk().replace_whole(path, [text.encode()])
    print(f"wrote {path}")
