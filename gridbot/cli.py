"""The command line: parses what was typed and hands over to ``gridbot.commands``.

Only click is imported here. Everything else comes in with the command that needs it, so that
``gridbot --help`` answers at once. Whatever is wrong ends in one line on stderr for each problem
and exit code 2; a command that ran and failed exits 1.
"""

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from gridbot import __version__
from gridbot.commands.choices import Choices

HOURS_MAX = 24 * 366 * 100
INTERRUPTED = 130

Command = Callable[..., None]


def main() -> NoReturn:
    """Run the command line of this process and exit with its code."""
    try:
        code = cli.main(prog_name="gridbot", standalone_mode=False) or 0
        sys.stdout.flush()
        sys.exit(code)
    except click.ClickException as error:
        sys.exit(_complain([_with_hint(error)], error.exit_code))
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered fails again at exit
        if isinstance(error, BrokenPipeError):  # the reader, such as head, has seen enough
            sys.exit(1)
        sys.exit(_complain([f"{error.filename or 'output'}: {error.strerror}"], 2))
    except Exception as error:
        problems = _known_problems(error)
        if problems is None:
            raise
        sys.exit(_complain(problems, 2))


def _complain(problems: list[str], code: int) -> int:
    for line in problems:
        print("gridbot:", " ".join(line.split("\n")), file=sys.stderr)
    return code


def _with_hint(error: click.ClickException) -> str:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.format_message()} See: {error.ctx.command_path} --help"
    return error.format_message()


def _known_problems(error: Exception) -> list[str] | None:
    """The lines for an operator, or None for what is a fault of the program itself."""
    from gridbot.config import ConfigError
    from gridbot.engine.disk import EngineFileError
    from gridbot.exchange.instruments import UnknownPair
    from gridbot.exchange.markets import MarketDataError

    if isinstance(error, ConfigError):
        return error.problems
    known = isinstance(error, EngineFileError | MarketDataError | UnknownPair)
    return [str(error)] if known else None


# ---- options that every command takes


def common(command: Callable[..., None]) -> Command:
    """Add --config, --data-dir, --profile and --set; the command gets them as ``Choices``."""

    @functools.wraps(command)
    def with_choices(
        config: Path | None,
        data_dir: str | None,
        profile: str | None,
        settings: tuple[tuple[str, str], ...],
        **rest: Any,
    ) -> None:
        choices = Choices(config, tuple(("--set", key, value) for key, value in settings))
        choices = choices.also("--data-dir", "persistence.data_dir", data_dir)
        command(choices.also("--profile", "run.profile", profile), **rest)

    for option in _COMMON:
        with_choices = option(with_choices)
    return with_choices


def _settings(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    split = [value.partition("=") for value in values]
    if not all(key.strip() and equals for key, equals, _ in split):
        raise click.BadParameter("needs section.key=value, such as grid.profit_pct=1.5.")
    return tuple((key.strip(), value.strip()) for key, _, value in split)


def _named(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.strip():
        raise click.BadParameter("the name is empty; give one or leave the option out.")
    return value


_COMMON = (
    click.option(
        "--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", callback=_settings,
        help="One setting, stronger than file and environment. May be repeated.",
    ),
    click.option(
        "--profile", metavar="NAME", callback=_named,
        help="Name of the instance; each has a data directory of its own.",
    ),
    click.option(
        "--data-dir", metavar="DIR", callback=_named,
        help="Where state, journal and ledger are kept.",
    ),
    click.option(
        "--config", metavar="PATH", type=click.Path(path_type=Path),
        help="Configuration file (TOML).",
    ),
)  # fmt: skip


# ---- the commands


def _help_if_alone(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="gridbot %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Grid trading for Kraken spot pairs, in your terminal.

    \b
    Examples:
      gridbot tui                     watch a simulated market being traded
      gridbot simulate --hours 720    a month of it in a second, and a report
      gridbot COMMAND --help          all about one command
    """
    _help_if_alone(context)


@cli.command()
@common
def tui(choices: Choices) -> None:
    """Trade and watch, full screen. Needs no configuration: the market is simulated.

    \b
    Examples:
      gridbot tui
      gridbot tui --set sim.speed=600 --set slots.initial_slots=12
      gridbot tui --profile second --set exchange.pair=DOGE/USD
    """
    from gridbot.commands.trade import on_screen

    on_screen(choices)


@cli.command()
@common
@click.option("--headless", is_flag=True, help="Without a screen: log lines on stdout.")
@click.option("--cycles", type=click.IntRange(1), metavar="N", help="Stop after N polls.")
def run(choices: Choices, headless: bool, cycles: int | None) -> None:
    """Trade without a screen, for systemd and containers. SIGTERM saves and exits 0.

    \b
    Examples:
      gridbot run --headless
      gridbot run --headless --config /etc/gridbot.toml --data-dir /var/lib/gridbot
      gridbot run --headless --cycles 100 --set sim.speed=3600
    """
    if not headless:
        raise click.UsageError("run works with --headless only; for a screen: gridbot tui.")
    from gridbot.commands.trade import headless as run_headless

    run_headless(choices, cycles)


def _hours(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 < value <= HOURS_MAX:  # not so for NaN, too
        raise click.BadParameter(f"{value:g} is not above 0 and at most {HOURS_MAX}.")
    return value


@cli.command()
@common
@click.option("--replay", metavar="FILE", type=click.Path(path_type=Path), help="Recorded market.")
@click.option("--synthetic", is_flag=True, help="Seeded synthetic market (the default).")
@click.option(
    "--hours",
    type=float,
    metavar="H",
    callback=_hours,
    help="Length; without it 720, or the whole recording.",
)
@click.option("--seed", metavar="N", help="Seed of the synthetic market.")
@click.option("--slots", type=click.IntRange(1, 1000), metavar="N", help="Slots to start with.")
@click.option("--sticky-ratio", metavar="X", help="Share of them that is sticky, 0 to 1.")
@click.option("--pair", metavar="P", callback=_named, help="Pair whose rules apply.")
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
def simulate(choices: Choices, synthetic: bool, **options: Any) -> None:
    """Trade a synthetic or recorded market as fast as the machine can, and report.

    With --data-dir the run is kept there: the same command goes on where it was cut short, or
    prints the report again.

    \b
    Examples:
      gridbot simulate --hours 8760 --slots 84
      gridbot simulate --replay XBTUSD_1.csv.gz --pair BTC/USD --slots 20 --sticky-ratio 0
      gridbot simulate --seed 7 --set grid.profit_pct=1.5 --json
      gridbot simulate --data-dir run-1 --hours 100
    """
    if synthetic and options["replay"] is not None:
        raise click.UsageError("--replay and --synthetic are two different markets: choose one.")
    from gridbot.commands.simulate import Wishes, simulate_and_report

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # tidy up first
    simulate_and_report(choices, Wishes(**options))


@cli.command()
@common
@click.option("--json", "as_json", is_flag=True, help="The whole status as one JSON object.")
def status(choices: Choices, as_json: bool) -> None:
    """What the engine of a data directory is doing, or did last. Never disturbs it.

    \b
    Examples:
      gridbot status
      gridbot status --data-dir /var/lib/gridbot --json
    """
    from gridbot.commands.look import show_status

    show_status(choices, as_json)


@cli.group(invoke_without_command=True)
@click.pass_context
def ledger(context: click.Context) -> None:
    """Read and verify the books of a data directory, while an engine runs there too.

    \b
    Examples:
      gridbot ledger show -n 50
      gridbot ledger verify
    """
    _help_if_alone(context)


@ledger.command("show")
@common
@click.option("--slot", type=click.IntRange(0), metavar="N", help="Of this slot; 0: the account.")
@click.option("-n", "count", type=click.IntRange(1), default=20, metavar="COUNT", help="How many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def ledger_show(choices: Choices, slot: int | None, count: int, as_json: bool) -> None:
    """The newest entries of the ledger, the newest last.

    \b
    Examples:
      gridbot ledger show
      gridbot ledger show --slot 3 -n 100 --json
    """
    from gridbot.commands.look import show_ledger

    show_ledger(choices, slot, count, as_json)


@ledger.command("verify")
@common
def ledger_verify(choices: Choices) -> None:
    """Prove the ledger: hash chain, balances, positions, results. Exits 1 at a bad line.

    \b
    Examples:
      gridbot ledger verify
      gridbot ledger verify --data-dir /var/lib/gridbot
    """
    from gridbot.commands.look import verify_ledger

    verify_ledger(choices)


@cli.group(invoke_without_command=True)
@click.pass_context
def config(context: click.Context) -> None:
    """Check the configuration, and see where each value comes from.

    \b
    Examples:
      gridbot config check
      gridbot config show
    """
    _help_if_alone(context)


@config.command("check")
@common
def config_check(choices: Choices) -> None:
    """Name everything that is wrong, or say "ok" and what the settings amount to.

    \b
    Examples:
      gridbot config check
      gridbot config check --config FILE --set grid.profit_pct=1.5
    """
    from gridbot.config import render_check

    click.echo(render_check(choices.load()))


@config.command("show")
@common
def config_show(choices: Choices) -> None:
    """Every setting with its value and origin; credentials only as set or not set.

    \b
    Examples:
      gridbot config show
      GRIDBOT_GRID_ENTRY_PCT=0.3 gridbot config show
    """
    from gridbot.config import render_show

    click.echo(render_show(choices.load(), os.environ))
