"""Trade, OrderBookSnapshot and Market: one row each, validated, for the edges of the system.

Bulk data never travels as these objects (core/frames.py holds the columnar forms); they serve single rows, market
entries and tests. Price bounds and ticks are properties of the market and are never assumed.
"""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, computed_field, field_validator, model_validator

from tributary_pipelines.core.fields import Positive

FeeModel = Literal["none", "bps", "per_contract", "quadratic"]
Side = Literal["buy", "sell"]
_Ladder = tuple[tuple[Positive, Positive], ...]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Trade(_Row):
    """One trade; ``side`` is the taker's, None when the venue does not say."""

    timestamp: AwareDatetime
    market_id: str = Field(min_length=1)
    token_id: str = Field(min_length=1)
    side: Side | None = None
    trade_id: str = Field(min_length=1)
    price: Positive
    size: Positive

    @computed_field
    def value(self) -> float:
        """Price times size, in the quote currency."""
        return self.price * self.size


class OrderBookSnapshot(_Row):
    """One full-depth snapshot; ladders may come in any order and are kept best first.

    A missing side is an empty ladder and its best price None, never 0 or 1.
    """

    timestamp: AwareDatetime
    market_id: str = Field(min_length=1)
    token_id: str = Field(min_length=1)
    bids: _Ladder = ()
    asks: _Ladder = ()

    @field_validator("bids")
    @classmethod
    def _highest_first(cls, bids: _Ladder) -> _Ladder:
        return tuple(sorted(bids, reverse=True))

    @field_validator("asks")
    @classmethod
    def _lowest_first(cls, asks: _Ladder) -> _Ladder:
        return tuple(sorted(asks))

    @computed_field
    def best_bid(self) -> float | None:
        """Highest bid, None when no bid is displayed."""
        return self.bids[0][0] if self.bids else None

    @computed_field
    def best_ask(self) -> float | None:
        """Lowest ask, None when no ask is displayed."""
        return self.asks[0][0] if self.asks else None

    @computed_field
    def mid(self) -> float | None:
        """Middle of the best quotes, None when a side is missing."""
        return (self.bids[0][0] + self.asks[0][0]) / 2 if self.bids and self.asks else None

    @computed_field
    def spread(self) -> float | None:
        """Best ask minus best bid, in price units; negative when crossed."""
        return self.asks[0][0] - self.bids[0][0] if self.bids and self.asks else None

    @computed_field
    def spread_bps(self) -> float | None:
        """Spread over mid, in basis points."""
        if not (self.bids and self.asks):
            return None
        bid, ask = self.bids[0][0], self.asks[0][0]
        return 2e4 * (ask - bid) / (ask + bid)


class Market(_Row):
    """One tradable token of a market and what its venue says of it.

    Parameters
    ----------
    tick_size, lot_size, min_order_size
        In price units, shares and shares; None when unknown.
    price_min, price_max
        Declared price bounds, both or neither; never inferred.
    fee_model, fee_rate, fee_exponent
        Taker fee per share: ``none`` 0; ``bps`` rate * 1e-4 * p; ``per_contract`` rate; ``quadratic``
        rate * (p (1 - p)) ** exponent.
    """

    market_id: str = Field(min_length=1)
    token_id: str = Field(min_length=1)
    complement_token_id: str | None = None
    slug: str | None = None
    series_id: str | None = None
    venue: str | None = None
    quote_currency: str | None = None
    tick_size: Positive | None = None
    lot_size: Positive | None = None
    min_order_size: Positive | None = None
    price_min: float | None = Field(default=None, allow_inf_nan=False)
    price_max: float | None = Field(default=None, allow_inf_nan=False)
    fee_model: FeeModel | None = None
    fee_rate: float | None = Field(default=None, allow_inf_nan=False)
    fee_exponent: float | None = Field(default=None, allow_inf_nan=False)
    resolves_at: AwareDatetime | None = None
    question: str | None = None
    outcomes: str | None = None
    resolution: str | None = None
    valid_from: AwareDatetime | None = None

    @model_validator(mode="after")
    def _check_bounds_and_fees(self) -> "Market":
        if (self.price_min is None) != (self.price_max is None):
            raise ValueError("price_min and price_max must be declared together")
        if self.price_min is not None and self.price_max is not None and self.price_min >= self.price_max:
            raise ValueError(f"price_min {self.price_min} must be below price_max {self.price_max}")
        if self.fee_model not in (None, "none") and self.fee_rate is None:
            raise ValueError(f"fee_model {self.fee_model!r} needs fee_rate")
        return self

    def fee_per_share(self, price: float) -> float:
        """Return the taker fee of one share at a price, in price units."""
        rate = self.fee_rate or 0.0
        if self.fee_model == "bps":
            return rate * 1e-4 * price
        if self.fee_model == "per_contract":
            return rate
        if self.fee_model == "quadratic":
            exponent = 1.0 if self.fee_exponent is None else self.fee_exponent
            return rate * float(max(price * (1 - price), 0.0) ** exponent)
        return 0.0
