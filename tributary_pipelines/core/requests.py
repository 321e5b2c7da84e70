"""What can be asked, as typed and checked requests; the command line and the UI's launchpad both build these.

Durations are seconds, quantities shares, times aware UTC. A request never reads anything.
"""

from datetime import UTC, date
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from tributary_pipelines.core.fields import NonNegative, Positive

RefillName = Literal["no_refill", "calibrated", "full_refill"]
FillModelName = Literal["orderbook", "midpoint", "spread"]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExplicitParameters(_Request):
    """Almgren-Chriss parameters given by hand; ``eta`` holds at tau = horizon / slices.

    Units: sigma P/day^0.5, gamma P/share, eta P*day/share, epsilon P, resilience_rate 1/day.
    """

    sigma: NonNegative
    gamma: NonNegative
    eta: Positive
    epsilon: NonNegative
    resilience_rate: Positive | None = None


class RiskChoice(_Request):
    """How risk aversion is chosen; at most one way, urgency 1 when none is given."""

    risk_aversion: NonNegative | None = None
    urgency: NonNegative | None = None
    lvar_confidence: Annotated[float, Field(gt=0.5, lt=1)] | None = None

    @model_validator(mode="after")
    def _at_most_one(self) -> "RiskChoice":
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of risk_aversion, urgency and lvar_confidence, not {' and '.join(given)}")
        return self

    @property
    def is_given(self) -> bool:
        """Whether the user chose at all."""
        return any(getattr(self, name) is not None for name in type(self).model_fields)


class _OrderRequest(_Request):
    side: Literal["buy", "sell"]
    shares: Positive
    horizon_s: Positive
    n_slices: Annotated[int, Field(ge=1, le=100_000)]
    strategy: str = "ac"
    risk: RiskChoice = RiskChoice()
    parameters: ExplicitParameters | None = None
    token: str | None = None
    as_of: date | None = None


class PlanRequest(_OrderRequest):
    """One order to be planned, for a market's stored parameters or for explicit ones."""

    market: str | None = None

    @model_validator(mode="after")
    def _needs_a_source_of_parameters(self) -> "PlanRequest":
        if self.market is None and self.parameters is None:
            raise ValueError("give a market, or sigma, gamma, eta and epsilon")
        return self


class SimulationRequest(_OrderRequest):
    """One order to be replayed on a market's recorded book from ``start``."""

    market: str
    start: AwareDatetime
    refill: RefillName = "calibrated"
    fill_model: FillModelName | None = None
    latency_s: NonNegative | None = None

    @model_validator(mode="after")
    def _knows_nothing_of_the_future(self) -> "SimulationRequest":
        if self.as_of is not None and self.as_of > self.start.astimezone(UTC).date():
            raise ValueError(
                f"as_of {self.as_of} lies after the start {self.start.isoformat()}: parameters from the future"
            )
        return self


class SyntheticRequest(_Request):
    """A synthetic market to be written into the store; ``options`` are SyntheticMarket's names."""

    market_id: Annotated[str, Field(min_length=1)]
    n_days: Annotated[int, Field(ge=1, le=3_650)]
    trades_per_hour: Positive
    seed: Annotated[int, Field(ge=0)]
    start: date
    options: dict[str, float | str | bool] = {}
