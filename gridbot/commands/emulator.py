"""``gridbot emulator``: serve the simulated exchange as Kraken's REST API on this machine."""

import signal
import socket
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import uvicorn

from gridbot.core.numbers import NumberError, parse_decimal
from gridbot.exchange.emulator.app import API_KEY, API_SECRET, create_app
from gridbot.exchange.emulator.config import EmulatorConfig
from gridbot.exchange.emulator.faults import TABLE, UnknownFault
from gridbot.exchange.emulator.pairs import Refused, find_asset
from gridbot.exchange.instruments import DEFAULT_PAIR

SPEED_MAX = 1e6  # of which a week takes a second to walk


def emulate(
    port: int, replay: Path | None, synthetic: bool, speed: float, tier: Any, pair: str | None,
    fault: tuple[str, ...], seed: int, balance: tuple[str, ...], ledger_digits: Any,
    clock_offset: float,
) -> None:  # fmt: skip
    """Serve until SIGTERM or Ctrl-C."""
    if fault == ("list",):
        for name, row in TABLE.items():
            print(f"{row['family']}  {name:28} {row['help']}")
        return
    if synthetic and replay is not None:
        raise click.UsageError("--replay and --synthetic are two different markets: choose one.")
    if not 0 < speed <= SPEED_MAX:  # not so for NaN, too
        problem = f"{speed:g} is not above 0 and at most {SPEED_MAX:g}."
        raise click.BadParameter(problem, param_hint="--speed")
    config = EmulatorConfig(
        pair or DEFAULT_PAIR, replay, speed, tier, dict(map(_split, fault)), seed,
        _balances(balance), ledger_digits,
    )  # fmt: skip
    try:
        app = create_app(config, lambda: time.time() + clock_offset)
        listener = socket.create_server(("127.0.0.1", port))
    except UnknownFault as error:
        raise click.BadParameter(str(error), param_hint="--fault") from None
    except OSError as error:
        raise click.BadParameter(f"{port}: {error.strerror}.", param_hint="--port") from None
    settings = uvicorn.Config(
        app, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(settings)
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again when all is closed
        signal.signal(number, lambda number, frame: setattr(server, "should_exit", True))
    print(f"Kraken emulator at http://127.0.0.1:{listener.getsockname()[1]}")
    print(f"API key: {API_KEY}\nAPI secret: {API_SECRET}", flush=True)
    server.run(sockets=[listener])


def _split(text: str) -> tuple[str, Any]:
    name, _, rate = text.partition("=")
    return name, rate


def _balances(texts: tuple[str, ...]) -> dict[str, Decimal]:
    found = {}
    for text in texts:
        asset, _, amount = text.partition("=")
        try:
            found[find_asset(asset)] = value = parse_decimal(amount)
            if value < 0:
                raise NumberError
        except (Refused, NumberError):
            hint = "is not ASSET=AMOUNT, an asset of Kraken's and 0 or more of it."
            raise click.BadParameter(f"{text!r} {hint}", param_hint="--balance") from None
    return found
