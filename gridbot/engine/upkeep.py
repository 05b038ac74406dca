"""What a live engine looks at now and then, whether anything happened or not.

Every five minutes the account is compared with the books and the journal gets a sign of life. Rules
and fees of the pair are read again when the exchange calls them stale: after a day, or after an
order was refused for them. What cannot be read is asked for a minute later, unless the exchange
says when.
"""

from gridbot.core.records import HeartbeatRecord
from gridbot.engine.engine import Engine
from gridbot.exchange.protocol import ExchangeError, RateLimited

RECONCILE_SECONDS = 300.0
RULES_SECONDS_MIN = 300.0  # so that orders refused for the rules cannot make us ask all the time
RETRY_SECONDS = 60.0


class Upkeep:
    """The times at which a live engine looks again."""

    def __init__(self, engine: Engine, at: float) -> None:
        self._engine = engine
        self._reconcile_at = self._rules_at = at

    async def look(self, at: float) -> None:
        """Do what is due before the step at ``at``."""
        engine = self._engine
        if engine.refused:
            return
        if engine.exchange.rules_stale and at >= self._rules_at:
            self._rules_at = at + RULES_SECONDS_MIN
            try:
                await self._read_rules()
            except ExchangeError as error:
                until = error.until if isinstance(error, RateLimited) else at + RETRY_SECONDS
                self._rules_at = until
        if at >= self._reconcile_at:
            self._reconcile_at = at + RECONCILE_SECONDS
            await engine.store.write(HeartbeatRecord(at))
            await engine.reconcile()

    async def _read_rules(self) -> None:
        engine, brain = self._engine, self._engine.brain
        fees, instrument = await engine.exchange.fees(), await engine.exchange.instrument()
        if instrument != brain.instrument:
            engine.note(instrument=instrument)
        if fees != brain.fees:
            engine.note(fees=fees)
        if instrument.status == "delisted":
            engine.note(halt="pair delisted")
