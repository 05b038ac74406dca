"""Commands on their way to the engine. Nothing says ok before the engine does."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from gridbot.core.records import Ack
from gridbot.engine.actions import Action
from gridbot.engine.client import EngineClient

PATIENCE_SECONDS = 5.0
NO_ANSWER = "no answer after 5s; the command may still run, check :messages"

Order = dict[str, Any]  # the arguments of one command
Note = Callable[[str, str, str], None]  # text, severity, the notice it replaces
ASKS = "the engine asks first"


class Origin(NamedTuple):
    """Where a command came from: its text, if it was typed, and how many keys had been pressed."""

    typed: str
    presses: int


Answered = Callable[[Action, Sequence[tuple[Order, Ack]], Origin], None]


class Sent(NamedTuple):
    row: Action
    orders: list[Order]
    futures: "list[Future[Ack]]"
    at: float
    origin: Origin
    notice: str  # what stands on the screen about it


class Sender:
    """Sends, and reports ``sent``, then the engine's answer, or that none came."""

    def __init__(self, client: EngineClient, note: Note, on_answer: Answered) -> None:
        self._client, self._note, self._on_answer = client, note, on_answer
        self._sent: list[Sent] = []

    @property
    def waiting(self) -> bool:
        """Whether an answer may come any moment."""
        return any(one.notice != NO_ANSWER for one in self._sent)

    @property
    def answered(self) -> bool:
        return any(_done(one) for one in self._sent)

    def send(self, row: Action, orders: list[Order], now: float, origin: Origin) -> None:
        """The same action once for each set of arguments, told as one."""
        values = (value for name, value in orders[0].items() if name != "force")
        words = " ".join(map(str, values)) if len(orders) == 1 else f"for {len(orders)} slots"
        notice = f"sent: {row.engine.replace('_', ' ')} {words}".rstrip()
        self._note(notice, "info", "")
        futures = [self._client.send(row.engine, one) for one in orders]
        self._sent.append(Sent(row, orders, futures, now, origin, notice))

    def check(self, now: float) -> None:
        waiting, self._sent = self._sent, []
        for one in waiting:
            if _done(one):
                acks = [future.result() for future in one.futures]
                self._note(*_told(acks), one.notice)
                answers = list(zip(one.orders, acks, strict=True))
                self._on_answer(one.row, answers, one.origin)
                continue
            if one.notice != NO_ANSWER and now - one.at > PATIENCE_SECONDS:
                self._note(NO_ANSWER, "bad", one.notice)
                one = one._replace(notice=NO_ANSWER)
            self._sent.append(one)


def _done(sent: Sent) -> bool:
    return all(future.done() for future in sent.futures)


def refusal(ack: Ack, before: str, between: str) -> str:
    """A refusal with its code; what has none of ours ("gone", "late") may well have been done."""
    refused = ack.code.startswith("E")
    return f"{before}{ack.code}{between}{ack.message}" if refused else ack.message


def _told(acks: list[Ack]) -> tuple[str, str]:
    asked = [ack for ack in acks if ack.code == "confirm"]
    refused = [ack for ack in acks if not ack.ok and ack.code != "confirm"]
    done = f"{len(acks) - len(refused) - len(asked)} of {len(acks)} done"
    if refused:
        text = refusal(refused[0], "refused: ", " ")
        return text if len(acks) == 1 else f"{done}; {text}", "bad"
    if asked:
        return ASKS, "info"
    return f"ok: {acks[0].message if len(acks) == 1 else done}", "good"
