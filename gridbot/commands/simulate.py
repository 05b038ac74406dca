"""``gridbot simulate``: choose a market, run through it, print what came of it."""

import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import click
import msgspec
from msgspec.structs import replace

from gridbot.commands.choices import Choices
from gridbot.core.numbers import quantum, use_exact_arithmetic
from gridbot.core.settings import RunSettings, Settings, SimSettings, TuiSettings
from gridbot.engine.arguments import arguments_of
from gridbot.engine.simulate import Report, simulate
from gridbot.engine.venues import VenuePlan, plan_venue
from gridbot.exchange.instruments import UnknownPair, find_instrument, infer_instrument
from gridbot.exchange.markets import Market
from gridbot.exchange.replay import read_market

HOURS_DEFAULT = 720.0
BAR_STEPS = 1000


class Wishes(NamedTuple):
    """The options of the command beside the common ones."""

    replay: Path | None
    hours: float | None
    seed: str | None
    slots: int | None
    sticky_ratio: str | None
    pair: str | None
    as_json: bool


class Course(NamedTuple):
    """What will be walked: ``market`` is None for the plan's synthetic one."""

    plan: VenuePlan
    market: Market | None
    described: dict[str, str]


def simulate_and_report(choices: Choices, wishes: Wishes) -> None:
    """Run in the chosen directory, else in one that is removed at the end, and print the report."""
    use_exact_arithmetic()
    keep = next((value for flag, _, value in choices.flags if flag == "--data-dir"), None)
    settings = _settings(choices, wishes)
    course = _synthetic(settings, wishes) if wishes.replay is None else _recorded(settings, wishes)
    with _directory(keep) as path, _progress() as progress:
        report = simulate(
            settings, course.plan, course.market, path, progress,
            arguments_of(settings, course.described),
        )  # fmt: skip
    print(_as_json(report) if wishes.as_json else as_text(report))
    if not report.ledger_ok:
        raise click.ClickException("the ledger does not verify: see gridbot ledger verify")


def _settings(choices: Choices, wishes: Wishes) -> Settings:
    """The settings that decide a simulation; the others take their defaults."""
    choices = choices.also("--seed", "sim.seed", wishes.seed)
    choices = choices.also("--sticky-ratio", "slots.initial_sticky_ratio", wishes.sticky_ratio)
    loaded = choices.also("--pair", "exchange.pair", wishes.pair).load().settings
    slots, names = loaded.slots, loaded.persistence
    if wishes.slots is not None:
        most = max(slots.max_slots, wishes.slots)
        slots = replace(slots, initial_slots=wishes.slots, max_slots=most)
    return replace(
        loaded,
        slots=slots,
        run=RunSettings(),
        tui=TuiSettings(),
        sim=replace(loaded.sim, speed=SimSettings().speed),
        persistence=replace(names, data_dir=None, supabase_url=None, supabase_key=None),
    )


def _synthetic(settings: Settings, wishes: Wishes) -> Course:
    hours = HOURS_DEFAULT if wishes.hours is None else wishes.hours
    plan = plan_venue(settings, candles=max(round(hours * 60), 1))
    return Course(plan, None, {"market": "synthetic", "hours": f"{hours:g}"})


def _recorded(settings: Settings, wishes: Wishes) -> Course:
    file, poll_seconds = wishes.replay, settings.timing.poll_interval_seconds
    assert file is not None, "a recorded course needs a recording"
    try:
        instrument = find_instrument(wishes.pair) if wishes.pair else None
    except UnknownPair:
        instrument = None
    decimals = None if instrument is None else instrument.price_decimals
    market = read_market(file, poll_seconds, price_decimals=decimals, hours=wishes.hours)
    if instrument is None:
        name = wishes.pair or "BASE/QUOTE"
        if "/" not in name:
            raise UnknownPair(f"pair {name!r} is not known to the simulation: write BASE/QUOTE")
        size = settings.grid.order_size
        instrument, sentence = infer_instrument(market, size, name.upper())
        print(sentence, file=sys.stderr)
    plan = plan_venue(settings, instrument, market.price * quantum(market.price_decimals))
    hours = "all" if wishes.hours is None else f"{wishes.hours:g}"
    recording = f"{file.name}, sha256 {_sha256(file)}"
    return Course(plan, market, {"market": recording, "hours": hours})


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _directory(chosen: str | None) -> Iterator[Path]:
    if chosen is not None:
        yield Path(chosen).expanduser().absolute()
    else:
        with tempfile.TemporaryDirectory(prefix="gridbot-") as temporary:
            yield Path(temporary)


@contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    """A bar on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda share: None
        return
    with click.progressbar(length=BAR_STEPS, label="simulating", file=sys.stderr) as bar:

        def advance(share: float) -> None:
            bar.update(max(int(share * BAR_STEPS) - bar.pos, 0))

        yield advance
        advance(1.0)


def _as_json(report: Report) -> str:
    fields = msgspec.structs.asdict(report)
    del fields["slot_events"]  # a figure for benchmarks only
    return msgspec.json.encode(fields).decode()


def as_text(report: Report) -> str:
    """The report for people."""
    r, profit, balances = report, report.profit, report.balances
    base, _, quote = r.pair.partition("/")
    agrees = "the exchange agrees"
    if balances["ledger"] != balances["exchange"]:
        held = balances["exchange"]
        agrees = f"BUT {held['quote']} {quote} and {held['base']} {base} at the exchange"
    days = f"{r.simulated_seconds / 86400:,.1f} days in {r.elapsed_seconds:,.2f} s"
    return "\n".join([
        f"{r.pair}: {r.source}",
        f"{days}, {r.ticks:,} ticks, {r.ticks_per_second:,.0f} ticks a second",
        "",
        f"slots        {r.slots['sticky']} sticky, {r.slots['cycle']} cycle",
        f"round trips  {r.round_trips:,}",
        f"profit       {_money(profit.realised)} {quote} realised after fees of "
        f"{_money(profit.fees)}",
        f"             {_money(profit.write_offs)} in {r.write_offs:,} write-offs",
        f"             {_money(profit.unrealised)} unrealised in open positions",
        f"orders       {r.orders_placed:,} placed, {r.orders_cancelled:,} cancelled, "
        f"{r.orders_rejected:,} refused, {r.executions:,} executions",
        f"             at most {r.open_orders_max} open, {r.effective_cap} allowed",
        f"exits        {r.reprices:,} repriced, {r.orphans:,} orphaned",
        f"inventory    {r.inventory['units']} {base}, cost {r.inventory['cost']} {quote}",
        f"balances     {balances['ledger']['quote']} {quote} and {balances['ledger']['base']} "
        f"{base} in the books; {agrees}",
        f"checks       {r.invariant_violations} violations, {r.quarantined_slots} slots "
        f"quarantined, {r.idle_without_reason} idle without a reason",
        f"ledger       {r.ledger_entries:,} entries, {'verified' if r.ledger_ok else 'NOT OK'}",
        f"state        {r.state_sha256}",
    ])  # fmt: skip


def _money(text: str) -> str:
    return f"{Decimal(text):,.4f}"
