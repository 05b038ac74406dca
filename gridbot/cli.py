"""The command line: parses what was typed and hands over to ``gridbot.commands``.

Only click is imported here. Everything else comes in with the command that needs it, so that
``gridbot --help`` answers at once. Whatever is wrong ends in one line on stderr for each problem
and exit code 2; a command that ran and failed exits 1. The help texts are in commands/texts.toml.
"""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import click
from click import Argument, IntRange, Option

from gridbot import __version__
from gridbot.commands import TEXTS
from gridbot.commands.choices import KEYS, Choices

HELP = TEXTS["help"]
HOURS_MAX = 24 * 366 * 100
INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line of this process and exit with its code."""
    try:
        code = cli.main(prog_name="gridbot", standalone_mode=False) or 0
        sys.stdout.flush()
        sys.exit(code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" See: {context.command_path} --help" if context else ""
        sys.exit(_complain([error.format_message() + hint], error.exit_code))
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered fails again at exit
        if isinstance(error, BrokenPipeError):  # the reader, such as head, has seen enough
            sys.exit(1)
        sys.exit(_complain([f"{error.filename or 'output'}: {error.strerror}"], 2))
    except Exception as error:
        from gridbot.config import ConfigError
        from gridbot.engine.disk import EngineFileError
        from gridbot.exchange.instruments import UnknownPair
        from gridbot.exchange.kraken.credentials import CredentialsError
        from gridbot.exchange.markets import MarketDataError
        from gridbot.exchange.protocol import ExchangeError

        bad_input = ConfigError | EngineFileError | MarketDataError | UnknownPair | CredentialsError
        if not isinstance(error, bad_input | ExchangeError):
            raise  # a fault of the program itself
        code = 2 if isinstance(error, bad_input) else 1
        sys.exit(_complain(getattr(error, "problems", [str(error)]), code))


def _complain(problems: list[str], code: int) -> int:
    for line in problems:
        print("gridbot:", line.replace("\n", " "), file=sys.stderr)
    return code


# ---- what an option may be


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


def _hours(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 < value <= HOURS_MAX:  # not so for NaN, too
        raise click.BadParameter(f"{value:g} is not above 0 and at most {HOURS_MAX}.")
    return value


# ---- the commands


@click.pass_context
def _help_if_alone(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _group(name: str, **more: Any) -> click.Group:
    return click.Group(
        name, callback=_help_if_alone, invoke_without_command=True, help=HELP[name], **more
    )


cli = _group("gridbot", context_settings={"help_option_names": ["-h", "--help"]})
click.version_option(__version__, message="gridbot %(version)s")(cli)
ledger, config = _group("ledger"), _group("config")
cli.add_command(ledger)
cli.add_command(config)

FILE = click.Path(path_type=Path)
COMMON: list[click.Parameter] = [
    Option(["--config"], metavar="PATH", type=FILE, help="Configuration file (TOML)."),
    Option(["--data-dir"], metavar="DIR", callback=_named,
           help="Where state, journal and ledger are kept."),
    Option(["--profile"], metavar="NAME", callback=_named,
           help="Name of the instance; each has a data directory of its own."),
    Option(["--set", "settings"], multiple=True, metavar="SECTION.KEY=VALUE", callback=_settings,
           help="One setting, stronger than file and environment. May be repeated."),
]  # fmt: skip


def _add(group: click.Group, name: str, target: str, *own: click.Parameter) -> None:
    """A command that calls ``target``, a "module.function" of ``gridbot.commands``.
    The function gets ``Choices`` of all options that stand for a setting, and the others by name.
    """

    def call(config: Path | None, settings: tuple[tuple[str, str], ...], **others: Any) -> None:
        short = {name: others.pop(name) for name in KEYS if name in others}
        given = {name: text for name, text in short.items() if text is not None}
        module, function = target.split(".")
        run = getattr(import_module(f"gridbot.commands.{module}"), function)
        run(Choices(config, settings, given), **others)

    words = name if group is cli else f"{group.name} {name}"
    group.add_command(click.Command(name, callback=call, params=[*COMMON, *own], help=HELP[words]))


def _json(text: str) -> Option:
    return Option(["--json", "as_json"], is_flag=True, help=text)


STARTING = [
    Option(["--yes"], is_flag=True, help="Do not ask before the first live start."),
    Option(["--adopt"], is_flag=True,
           help="Go on although the account has orders this directory does not know."),
]  # fmt: skip
_add(
    cli, "tui", "trade.on_screen", *STARTING,
    Option(["--attach"], is_flag=True, help="Only watch an engine that runs; never start one."),
    Option(["--read-only"], is_flag=True,
           help="Only look: whatever would act is refused. Without a running engine it starts one "
           "in mode sim alone."),
    Option(["--demo"], is_flag=True,
           help="A show: 24 slots on a lively simulated market, in a directory that is removed."),
)  # fmt: skip
_add(
    cli, "run", "trade.without_screen", *STARTING,
    Option(["--headless"], is_flag=True, help="Without a screen: log lines on stdout."),
    Option(["--cycles"], type=IntRange(1), metavar="N", help="Stop after N polls."),
)  # fmt: skip
_add(
    cli, "simulate", "simulate.simulate_and_report",
    Option(["--replay"], metavar="FILE", type=FILE, help="Recorded market."),
    Option(["--synthetic"], is_flag=True, help="Seeded synthetic market (the default)."),
    Option(["--hours"], type=float, metavar="H", callback=_hours,
           help="Length; without it 720, or the whole recording."),
    Option(["--seed"], metavar="N", help="Seed of the synthetic market."),
    Option(["--slots"], type=IntRange(1, 1000), metavar="N", help="Slots to start with."),
    Option(["--sticky-ratio"], metavar="X", help="Share of them that is sticky, 0 to 1."),
    Option(["--pair"], metavar="P", callback=_named, help="Pair whose rules apply."),
    _json("The report as one JSON object."),
)  # fmt: skip
_add(
    cli, "init", "prepare.make_configuration",
    Option(["--mode"], metavar="MODE", help="sim, paper or live."),
    Option(["--pair"], metavar="P", callback=_named, help="Pair to trade."),
    Option(["--tier"], metavar="TIER", help="starter, intermediate or pro."),
    Option(["--funds-quote"], metavar="X", help="Quote currency the bot may spend."),
    Option(["--funds-base"], metavar="X", help="Base asset the bot may sell."),
    Option(["--initial-slots"], metavar="N", help="Slots to start with."),
    Option(["--order-size"], metavar="X", help="Worth of one order, in quote."),
    Option(["--force"], is_flag=True, help="Overwrite, and write even what did not check out."),
)  # fmt: skip
_add(cli, "plan", "prepare.show_plan", _json("The plan as one JSON object."))
_add(cli, "doctor", "prepare.report_health", _json("The checks as one JSON list."))
_add(
    cli, "cancel-orders", "kraken.cancel_orders",
    Option(["--prefix"], default="gb", metavar="gbXXXX", help="What their client ids begin with."),
    Option(["--pair"], metavar="P", callback=_named, help="Only those of this pair."),
    Option(["--yes"], is_flag=True, help="Cancel without asking."),
)  # fmt: skip
_add(
    cli, "action", "act.act",
    Argument(["words"], nargs=-1, metavar="NAME [ARGS]"),
    Option(["--yes", "--force"], is_flag=True, help="Do it even if it asks first."),
    Option(["--list", "listed"], is_flag=True, help="All actions, with their arguments."),
    _json("The answer as one JSON object."),
)  # fmt: skip
_add(cli, "status", "look.show_status", _json("The whole status as one JSON object."))
_add(
    ledger, "show", "look.show_ledger",
    Option(["--slot"], type=IntRange(0), metavar="N", help="Of this slot; 0: the account."),
    Option(["-n", "count"], type=IntRange(1), default=20, metavar="COUNT", help="How many."),
    _json("One JSON object per line."),
)  # fmt: skip
_add(ledger, "verify", "look.verify_ledger")
_add(
    ledger, "export", "look.export_ledger",
    Option(["--filter", "words"], default="", metavar="WORDS",
           help="Which entries: slot:N type:T,.. -type:T side:A since:24h until: tx: min:"),
    Option(["--cycles", "what"], flag_value="cycles", default="ledger",
           help="Only results: finished cycles and write-offs."),
    Option(["--format", "form"], type=click.Choice(["csv", "json", "jsonl"]), default="csv",
           help="Of the file."),
    Option(["-o", "--output"], default="", metavar="FILE",
           help="File or directory; without it a name with the time, here."),
    Option(["--force"], is_flag=True, help="Overwrite the file."),
)  # fmt: skip
_add(ledger, "reconcile", "kraken.reconcile")
_add(config, "check", "look.check_config")
_add(config, "show", "look.show_config")


def _emulator(**options: Any) -> None:
    import_module("gridbot.commands.emulator").emulate(**options)


cli.add_command(
    click.Command(
        "emulator", callback=_emulator, help=HELP["emulator"],
        params=[
            Option(["--port"], type=IntRange(0, 65535), default=0, help="Port; 0: any free one."),
            Option(["--replay"], metavar="FILE", type=FILE, help="Recorded market."),
            Option(["--synthetic"], is_flag=True, help="Seeded synthetic market (the default)."),
            Option(["--speed"], type=float, default=1.0, metavar="X",
                   help="Market seconds per second."),
            Option(["--tier"], type=click.Choice(["starter", "intermediate", "pro"]),
                   default="starter", help="Whose limits apply."),
            Option(["--fault"], multiple=True, metavar="NAME=RATE",
                   help="A fault and its chance, 0 to 1. May be repeated. 'list' names them all."),
            Option(["--seed"], type=int, default=1, metavar="N", help="Of market and faults."),
            Option(["--pair"], metavar="P", callback=_named, help="The pair that is traded."),
            Option(["--balance"], multiple=True, metavar="ASSET=AMOUNT",
                   help="What the account holds. May be repeated."),
            Option(["--ledger-digits"], type=click.Choice(["asset", "cost"]), default="asset",
                   help="Digits money is booked with: the asset's or the cost's."),
            Option(["--clock-offset"], type=float, default=0.0, metavar="SECONDS",
                   help="How far the API's clock is ahead."),
        ],
    )
)  # fmt: skip
