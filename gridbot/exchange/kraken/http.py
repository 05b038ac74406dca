"""One HTTP client for both halves of Kraken's API: envelopes in, results or a Refusal out.

Anything but status 200 with an envelope in JSON says nothing about whether the call was executed.
Texts of the transport are not repeated, only its kind of failure: they might quote what was sent.
Imported late by its user, because httpx is slow to load and most commands need none.
"""

from collections.abc import Callable

import httpx
import msgspec

from gridbot import __version__
from gridbot.exchange.kraken.errors import ErrorClass, Refusal, gravest
from gridbot.exchange.protocol import BadAnswer

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
NEVER_SENT = (
    httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol,
)  # fmt: skip


class _Envelope(msgspec.Struct):
    error: list[str]
    result: msgspec.Raw = msgspec.Raw(b"null")


class Http:
    """The way to Kraken. Before ``quiet_until`` (epoch seconds) nothing at all is sent."""

    def __init__(
        self, base_url: str, clock: Callable[[], float], transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self.quiet_until, self.quiet_reason = 0.0, ""
        self._clock = clock
        agent = {"User-Agent": f"gridbot/{__version__}"}
        self._client = httpx.AsyncClient(
            base_url=base_url, transport=transport, headers=agent, timeout=TIMEOUT
        )

    async def call(self, method: str, path: str, **options: object) -> msgspec.Raw:
        """The result of one request, ``options`` as httpx has them; raises Refusal, BadAnswer."""
        if self._clock() < self.quiet_until:
            raise Refusal("backoff", self.quiet_reason, self.quiet_until)
        try:
            answer = await self._client.request(method, path, **options)  # type: ignore[arg-type]
        except NEVER_SENT as error:
            raise Refusal("unsent", f"no connection ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            raise Refusal("unknown", f"no answer ({type(error).__name__})") from None
        if answer.status_code != 200:
            kind: ErrorClass = "backoff" if answer.status_code == 429 else "unknown"
            raise Refusal(kind, f"HTTP status {answer.status_code} instead of an answer")
        return _result(path, answer.content)

    async def close(self) -> None:
        await self._client.aclose()


def _result(path: str, content: bytes) -> msgspec.Raw:
    try:
        envelope = msgspec.json.decode(content, type=_Envelope)
    except msgspec.ValidationError as error:
        raise BadAnswer(path.rpartition("/")[2], str(error)) from None
    except (msgspec.DecodeError, ValueError):
        raise Refusal("unknown", "the answer was not JSON") from None
    if errors := [text for text in envelope.error if not text.startswith("W")]:
        raise gravest(errors)
    return envelope.result
