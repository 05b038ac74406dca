"""Commands on their way to the engine. Nothing says ok before the engine does."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from gridbot.core.records import Ack
from gridbot.engine.actions import Action
from gridbot.engine.client import EngineClient

PATIENCE_SECONDS = 5.0
NO_ANSWER = "no answer after 5s; the command may still run, see :messages"

Note = Callable[[str, str, str], None]  # text, severity, the notice it replaces
Answered = Callable[[Action, dict[str, Any], Ack], None]


class Sent(NamedTuple):
    row: Action
    args: dict[str, Any]
    future: "Future[Ack]"
    at: float
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
        return any(one.future.done() for one in self._sent)

    def send(self, row: Action, args: dict[str, Any], now: float) -> None:
        words = " ".join(str(value) for name, value in args.items() if name != "force")
        notice = f"sent: {row.engine.replace('_', ' ')} {words}".rstrip()
        self._note(notice, "info", "")
        self._sent.append(Sent(row, args, self._client.send(row.engine, args), now, notice))

    def check(self, now: float) -> None:
        waiting, self._sent = self._sent, []
        for one in waiting:
            if one.future.done():
                ack = one.future.result()
                self._note(*_told(ack), one.notice)
                self._on_answer(one.row, one.args, ack)
                continue
            if one.notice != NO_ANSWER and now - one.at > PATIENCE_SECONDS:
                self._note(NO_ANSWER, "bad", one.notice)
                one = one._replace(notice=NO_ANSWER)
            self._sent.append(one)


def _told(ack: Ack) -> tuple[str, str]:
    if ack.ok:
        return f"ok: {ack.message}", "good"
    if ack.code == "confirm":
        return "the engine asks first", "info"
    return f"refused: {ack.code} {ack.message}", "bad"
