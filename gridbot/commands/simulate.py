"""``gridbot simulate``: choose a market, run through it, print what came of it."""

import contextlib
import hashlib
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import click
import msgspec
from msgspec.structs import replace

from gridbot.commands import TEXTS
from gridbot.commands.choices import Choices
from gridbot.core.numbers import quantum
from gridbot.core.settings import RunSettings, Settings, SimSettings, TuiSettings
from gridbot.engine.directory import arguments_of
from gridbot.engine.simulate import Report, simulate
from gridbot.engine.venues import VenuePlan, plan_venue
from gridbot.exchange.instruments import UnknownPair, find_instrument, infer_instrument
from gridbot.exchange.markets import Market
from gridbot.exchange.replay import read_market

HOURS_DEFAULT = 720.0
BAR_STEPS = 1000


def simulate_and_report(
    choices: Choices, replay: Path | None, synthetic: bool, hours: float | None, slots: int | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Run in the chosen directory, else in one that is removed at the end, and print the report."""
    if synthetic and replay is not None:
        raise click.UsageError("--replay and --synthetic are two different markets: choose one.")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # tidy up first
    loaded = choices.load()
    settings, market = _deciding(loaded.settings, slots), None
    if replay is None:
        hours, source = HOURS_DEFAULT if hours is None else hours, "synthetic"
        plan = plan_venue(settings, candles=max(round(hours * 60), 1))
    else:
        plan, market = _recorded(settings, replay, hours, choices.options.get("pair"))
        with replay.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        source = f"{replay.name}, sha256 {digest}"
    length = "all" if hours is None else f"{hours:g}"
    arguments = arguments_of(settings, {"market": source, "hours": length})
    kept = contextlib.nullcontext(loaded.data_dir) if "data_dir" in choices.options else None
    with kept or tempfile.TemporaryDirectory(prefix="gridbot-") as path, _progress() as progress:
        report = simulate(settings, plan, market, Path(path), progress, arguments)
    print(msgspec.json.encode(report).decode() if as_json else as_text(report))
    if not report["ledger_ok"]:
        raise click.ClickException("the ledger does not verify: see gridbot ledger verify")


def _deciding(loaded: Settings, initial_slots: int | None) -> Settings:
    """The settings that decide a simulation; the others take their defaults."""
    slots, sim = loaded.slots, replace(loaded.sim, speed=SimSettings().speed)
    if initial_slots is not None:
        most = max(slots.max_slots, initial_slots)
        slots = replace(slots, initial_slots=initial_slots, max_slots=most)
    return replace(loaded, slots=slots, run=RunSettings(), tui=TuiSettings(), sim=sim)


def _recorded(
    settings: Settings, file: Path, hours: float | None, pair: str | None
) -> tuple[VenuePlan, Market]:
    instrument, name = None, pair or "BASE/QUOTE"
    with contextlib.suppress(UnknownPair):
        instrument = find_instrument(name)
    decimals = None if instrument is None else instrument.price_decimals
    market = read_market(file, settings.timing.poll_interval_seconds, decimals, hours=hours)
    if instrument is None:
        if "/" not in name:
            raise UnknownPair(f"pair {name!r} is not known to the simulation: write BASE/QUOTE")
        instrument, sentence = infer_instrument(market, settings.grid.order_size, name.upper())
        print(sentence, file=sys.stderr)
    price = market.price * quantum(market.price_decimals)
    return plan_venue(settings, instrument, price), market


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    """A bar on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda share: None
        return
    with click.progressbar(length=BAR_STEPS, label="simulating", file=sys.stderr) as bar:
        yield lambda share: bar.update(max(int(share * BAR_STEPS) - bar.pos, 0))
        bar.update(BAR_STEPS - bar.pos)


def as_text(figures: Report) -> str:
    report = SimpleNamespace(**figures)
    base, _, quote = report.pair.partition("/")
    books, held = report.balances["ledger"], report.balances["exchange"]
    agreement = "the exchange agrees"
    if books != held:
        agreement = f"BUT {held['quote']} {quote} and {held['base']} {base} at the exchange"
    text: str = TEXTS["reports"]["simulation"]
    return text.format(
        r=report, base=base, quote=quote, books=books, agreement=agreement,
        days=report.simulated_seconds / 86400, verdict="verified" if report.ledger_ok else "NOT OK",
        **{name: Decimal(amount) for name, amount in report.profit.items()},
    )  # fmt: skip
