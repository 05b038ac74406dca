"""What the account's owner and the exchange do behind the client's back: the faults of family 7."""

from decimal import Decimal

from gridbot.core.numbers import ONE, floor_to_step
from gridbot.core.records import Side
from gridbot.exchange.emulator.account import Account, Wish
from gridbot.exchange.emulator.pairs import FEE_TIERS, Refused

MANUAL_MAX = 3  # the oldest manual order is withdrawn when there would be more
PREFIX_LETTERS = 6


class Owner:
    """Small acts, far from the market, so that an account survives many of them."""

    def __init__(self, account: Account) -> None:
        self._account, self._random = account, account.faults.random

    def stir(self) -> None:
        """Do whatever fires now."""
        account, fires = self._account, self._account.faults.fires
        if fires("manual-order"):
            self._order("")
        if account.accepted and fires("manual-order-with-our-prefix"):
            prefix = list(account.accepted)[-1][:PREFIX_LETTERS]
            self._order(f"{prefix}0{self._random.randrange(1000):03d}")
        theirs = [one for one in account.open_now() if not one.owner]
        if theirs and fires("manual-cancel"):
            account.end(self._random.choice(theirs))
        for name, sign in (("deposit", 1), ("withdrawal", -1)):
            if fires(name):
                asset, amount = self._little()
                account.book(name, "", account.name("F"), asset, sign * amount)
        if fires("earn-sweep"):
            (asset, amount), refid = self._little(), account.name("S")
            account.book("earn", "allocation", refid, asset, -amount)
            account.book(
                "earn", "allocation", refid, f"{asset}.{self._random.choice('BFM')}", amount
            )
        if fires("fee-tier-change"):
            tier = account.fee_tier + self._random.choice((-1, 1))
            account.set_fee_tier(min(max(tier, 0), len(FEE_TIERS) - 1))
        if fires("pair-rules-change"):
            account.toggle_rules()

    def _little(self) -> tuple[str, Decimal]:
        """An asset of the pair and a thousandth of what is free of it, or less."""
        side: Side = self._random.choice(("buy", "sell"))
        asset = self._account.pair.quote if side == "buy" else self._account.pair.base
        share = Decimal(self._random.randint(1, 100)) / 100_000
        return asset, max(self._account.free(side), Decimal(0)) * share

    def _order(self, cl_ord_id: str) -> None:
        account = self._account
        manual = [one for one in account.open_now() if one.owner]
        if len(manual) >= MANUAL_MAX:
            account.end(manual[0])
        side: Side = self._random.choice(("buy", "sell"))
        away = Decimal(self._random.randint(5, 20)) / 100
        price = account.touch()[0] * (ONE - away if side == "buy" else ONE + away)
        price, volume = floor_to_step(price, account.rules.tick_size), account.rules.min_volume * 2
        try:
            account.add(Wish(side, volume, price, ["post", "fciq"], cl_ord_id), owner=True)
        except Refused:
            return  # no funds, no room, an id in use: the owner lets it be
