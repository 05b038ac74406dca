"""``gridbot action``: one command to a running engine, in the words of the command bar."""

from typing import Any

import click
import msgspec

from gridbot.commands.choices import Choices
from gridbot.config_schema import columns
from gridbot.engine.actions import Action, CommandError, ParsedCommand, Scene, parse, table
from gridbot.engine.remote import Answer, Asking
from gridbot.engine.status import Status

REFUSED = 1


def act(choices: Choices, words: tuple[str, ...], yes: bool, as_json: bool, listed: bool) -> None:
    """Send it and print the answer; exit code 1 when the engine refuses, 2 when it is no command
    or nobody is there to hear it."""
    if listed:
        _list(as_json)
        return
    if not words:
        raise click.UsageError("name an action; --list shows them all.")
    asking = Asking(choices.load().data_dir)
    status = asking.status()
    row, args = _parse(words, status)
    slots = [{"slot": slot.id} for slot in status.slots] if args.get("slot") == "all" else [{}]
    answers = [_ask(asking, row, args | slot, yes) for slot in slots]
    for answer in answers:
        if as_json:
            print(msgspec.json.encode(answer).decode())
        elif answer.ok:
            print(answer.message)
    refused = [answer for answer in answers if not answer.ok]
    if refused and as_json:
        raise click.exceptions.Exit(REFUSED)
    if refused:
        raise click.ClickException("; ".join(map(_refusal, refused)))


def _ask(asking: Asking, row: Action, args: dict[str, Any], yes: bool) -> Answer:
    if (row.confirm == "typed" or row.detail) and not yes:
        return Answer(False, f"{row.label}. It cannot be undone", "confirm")
    answer = asking.act(row.engine, args)
    if answer.code == "confirm" and yes:
        return asking.act(row.engine, {**args, "force": answer.confirm or True})
    return answer


def _refusal(answer: Answer) -> str:
    if answer.code == "confirm":
        return f"not done: {answer.message}: add --yes to do it"
    return f"refused: {answer.code} {answer.message}"


def _parse(words: tuple[str, ...], status: Status) -> ParsedCommand:
    """Words as a shell gives them, or all of them in one; raises UsageError."""
    text = words[0] if len(words) == 1 else " ".join(map(_quoted, words))
    try:
        found = parse(text, Scene(None, {slot.id: slot.alias for slot in status.slots}))
    except CommandError as error:
        raise click.UsageError(f"{error}.") from None
    if not found.action.engine:
        raise click.UsageError(f'"{found.action.usage}" is for the screen; --list shows the rest.')
    return found


def _quoted(word: str) -> str:
    return f'"{word}"' if not word or " " in word else word


def _list(as_json: bool) -> None:
    rows = [(row.usage, row.label) for row in table() if row.engine and row.verbs]
    if as_json:
        print(msgspec.json.encode([{"usage": one, "help": two} for one, two in rows]).decode())
    else:
        print("\n".join(columns(rows)))
