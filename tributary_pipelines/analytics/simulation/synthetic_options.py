"""The options of a synthetic market, their defaults, ranges and what follows from them.

One name for each thing that can be turned; the command line uses the same names. Sizes are lognormal with mean 100 and
log-standard deviation 1. The law they feed is in synthetic_path.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from math import exp, isfinite, log, sqrt

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.units import SECONDS_PER_DAY

MEAN_SIZE = 100.0
SIZE_LOG_SD = 1.0
MEAN_SQUARE_SIZE = MEAN_SIZE**2 * exp(SIZE_LOG_SD**2)
DEPTH_TIMES_GAMMA = 0.225

#: Allowed values: (lowest, highest, whether the lowest itself is allowed).
_RANGES: dict[str, tuple[float, float, bool]] = {
    "trades_per_hour": (0.0, 100_000.0, False),
    "p0": (0.0, 1e9, False),
    "sigma": (0.0, 1e9, False),
    "r2": (0.0, 0.99, True),
    "gamma": (0.0, 1e9, True),
    "depth": (0.0, 1e15, False),
    "epsilon": (0.0, 1e9, True),
    "tick": (1e-8, 1e9, True),
    "half_life_s": (0.0, 1e7, False),
    "depth_sd": (0.0, 3.0, True),
    "level_noise": (0.0, 3.0, True),
    "flow_phi": (-0.99, 0.99, True),
    "chase": (-10.0, 10.0, True),
    "stamp_delay_s": (0.0, 3_600.0, True),
    "levels": (1, 500, True),
    "snapshot_s": (0.1, 86_400.0, True),
}


@dataclass(frozen=True, slots=True)
class SyntheticMarket:
    """Options of a synthetic market; the defaults are the base scenario.

    Parameters
    ----------
    trades_per_hour : float
        Rate of the Poisson trades, > 0.
    p0 : float
        First price, P.
    sigma : float
        Total long-run volatility of the mid, P/day^0.5; of a bounded market, at price p0.
    r2 : float
        Share of sigma^2 that comes from order flow, 0..0.99; gives gamma unless gamma is given.
    gamma : float, optional
        Permanent impact, P/share.
    depth : float, optional
        Density D of one side of the book, shares per P; by default gamma D = 0.225.
    epsilon : float
        Half-spread before rounding to the tick, P.
    tick : float
        Price increment, P.
    half_life_s : float
        Half-life of the transient displacement, s.
    depth_sd, level_noise : float
        Standard deviations of log-depth in time and of log-sizes between levels.
    flow_phi : float
        Persistence of trade signs: the next repeats the last with probability (1 + phi) / 2.
    chase : float
        Logit of buying per standard deviation of the last minute's exogenous move.
    stamp_delay_s : float
        Recorded trade times are late by U(0, stamp_delay_s), s.
    bounded : bool
        Prices live in 0..1.
    levels : int
        Displayed levels a side.
    snapshot_s : float
        Seconds between snapshots.

    Raises
    ------
    ValidationError
        Options out of range or at odds with each other; every violation is listed.
    """

    trades_per_hour: float = 20.0
    p0: float = 0.5
    sigma: float = 0.03
    r2: float = 0.3
    gamma: float | None = None
    depth: float | None = None
    epsilon: float = 0.005
    tick: float = 0.001
    half_life_s: float = 60.0
    depth_sd: float = 0.3
    level_noise: float = 0.5
    flow_phi: float = 0.0
    chase: float = 0.0
    stamp_delay_s: float = 0.0
    bounded: bool = False
    levels: int = 10
    snapshot_s: float = 10.0

    def __post_init__(self) -> None:
        problems = [
            text for name, limits in _RANGES.items() if (text := _range_problem(name, getattr(self, name), limits))
        ]
        problems = problems or self._contradictions()
        if problems:
            raise ValidationError("synthetic market: " + "; ".join(problems))

    def _contradictions(self) -> list[str]:
        problems = []
        if self.levels != int(self.levels):
            problems.append(f"levels is {self.levels}; allowed: a whole number")
        if self.bounded and not self.tick <= self.p0 <= 1 - self.tick:
            problems.append(f"p0 is {self.p0}; allowed with bounded: tick to 1 - tick")
        if self.flow_variance >= self.sigma**2:
            limit = self.sigma / sqrt(self.trades_per_day * MEAN_SQUARE_SIZE)
            problems.append(f"gamma is {self.gamma}; allowed at this sigma and trade rate: below {limit:.6g}")
        if self.depth is None and self.permanent_impact == 0:
            problems.append("depth is not given; it is needed when gamma or r2 is 0")
        elif self.permanent_impact * self.density >= 1:
            problems.append(f"depth is {self.depth}; allowed at this gamma: below {1 / self.permanent_impact:.6g}")
        return problems

    @classmethod
    def from_options(cls, options: Mapping[str, float | str | bool]) -> "SyntheticMarket":
        """Return the market of named options, each a number or its text (``bounded`` also true or false).

        Raises
        ------
        ValidationError
            An unknown name (the nearest known one is named), a value that is no number, or one out of range.

        Examples
        --------
        >>> SyntheticMarket.from_options({"p0": "0.25", "levels": "5", "bounded": "true"}).levels
        5
        """
        known = [field.name for field in fields(cls)]
        values: dict[str, float | int | bool] = {}
        for name, value in options.items():
            if name not in known:
                near = get_close_matches(name, known, n=1, cutoff=0.5)
                hint = f"did you mean '{near[0]}'?" if near else f"known names: {', '.join(known)}"
                raise ValidationError(f"synthetic market: unknown option '{name}'; {hint}")
            values[name] = _read_value(name, value)
        return cls(**values)  # type: ignore[arg-type]

    @property
    def trades_per_day(self) -> float:
        """Trades a day."""
        return self.trades_per_hour * 24

    @property
    def permanent_impact(self) -> float:
        """gamma, P/share: as given, or sqrt(r2 sigma^2 / (trades per day E[v^2]))."""
        if self.gamma is not None:
            return self.gamma
        return sqrt(self.r2 * self.sigma**2 / (self.trades_per_day * MEAN_SQUARE_SIZE))

    @property
    def density(self) -> float:
        """D, shares per P on one side of the book."""
        return self.depth if self.depth is not None else DEPTH_TIMES_GAMMA / self.permanent_impact

    @property
    def flow_variance(self) -> float:
        """gamma^2 lambda E[v^2], the part of sigma^2 that flow makes, P^2/day."""
        return self.permanent_impact**2 * self.trades_per_day * MEAN_SQUARE_SIZE

    @property
    def news_volatility(self) -> float:
        """sigma_f, what is left of sigma without flow, P/day^0.5."""
        return sqrt(self.sigma**2 - self.flow_variance)

    @property
    def resilience_rate(self) -> float:
        """Rate rho = ln 2 / half-life, 1/day."""
        return log(2) * SECONDS_PER_DAY / self.half_life_s


def _range_problem(name: str, value: float | None, limits: tuple[float, float, bool]) -> str | None:
    if value is None:
        return None
    low, high, closed = limits
    if isfinite(value) and (low <= value if closed else low < value) and value <= high:
        return None
    return f"{name} is {value}; allowed: {'from' if closed else 'above'} {low:g} up to {high:g}"


def _read_value(name: str, value: float | str | bool) -> float | int | bool:
    text = str(value).strip().lower()
    if name == "bounded":
        if text in ("1", "true", "yes", "1.0"):
            return True
        if text in ("0", "false", "no", "0.0"):
            return False
        raise ValidationError(f"synthetic market: bounded is {value!r}; allowed: true or false")
    try:
        number = float(text)
    except ValueError:
        raise ValidationError(f"synthetic market: {name} is {value!r}; allowed: a number") from None
    return int(number) if name == "levels" and number.is_integer() else number
