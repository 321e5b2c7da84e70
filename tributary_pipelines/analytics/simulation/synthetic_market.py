"""A market whose parameters are known: trades and full-depth snapshots from a stated law, seeded.

Puts together the options (synthetic_options.py), the state of the market (synthetic_path.py) and its book
(synthetic_books.py), and says what the truth is. Every estimator of the package is measured against such tapes.
"""

from dataclasses import dataclass
from datetime import datetime
from math import inf

import numpy as np

from tributary_pipelines.analytics.simulation.synthetic_books import display_books, walk_density
from tributary_pipelines.analytics.simulation.synthetic_options import SyntheticMarket
from tributary_pipelines.analytics.simulation.synthetic_path import MarketPath, simulate_path
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import Float64Array1D, OrderBooks, Trades
from tributary_pipelines.core.units import SECONDS_PER_DAY, US_PER_DAY, US_PER_S, to_us

__all__ = ["SyntheticMarket", "SyntheticTape", "generate_tape"]

#: Displayed levels of one side, and trades, that one tape may hold.
MAX_CELLS = 50_000_000


@dataclass(frozen=True, slots=True)
class SyntheticTape:
    """Trades and snapshots with the parameters that made them.

    ``truth`` holds sigma (P/day^0.5), gamma (P/share), epsilon (P, the quoted half-spread), book_slope (P/share),
    resilience_rate (1/day) and kappa (P/share). In a bounded market sigma is the value at the last price and gamma the
    mean over the trades.
    """

    trades: Trades
    books: OrderBooks
    truth: dict[str, float]


def generate_tape(spec: SyntheticMarket, *, start: datetime, n_days: int, rng: np.random.Generator) -> SyntheticTape:
    """Simulate a market from ``start`` for ``n_days`` days of 86 400 s.

    Returns
    -------
    SyntheticTape
        Trades in ascending recorded time, snapshots every ``snapshot_s`` from ``start`` on, and the truth.

    Raises
    ------
    ValidationError
        ``n_days`` is not a whole number from 1 on, the tape is too large, or the price of an unbounded market
        reached zero.

    Examples
    --------
    >>> from datetime import UTC
    >>> tape = generate_tape(
    ...     SyntheticMarket(), start=datetime(2026, 1, 1, tzinfo=UTC), n_days=1, rng=np.random.default_rng(1))
    >>> len(tape.books), tape.truth["epsilon"]
    (8640, 0.0055)
    """
    _check_size(spec, n_days)
    end_s = float(n_days * SECONDS_PER_DAY)
    n_trades = int(rng.poisson(spec.trades_per_day * n_days))
    trade_s = np.sort(rng.uniform(0.0, end_s, n_trades))
    snapshot_s = np.arange(0.0, end_s, spec.snapshot_s)
    path = simulate_path(spec, trade_s, snapshot_s, rng)
    start_us = to_us(start)
    trades = _record_trades(spec, path, trade_s, n_days=n_days, rng=rng)
    seen = ~path.is_trade
    times = start_us + np.round(snapshot_s * US_PER_S).astype(np.int64)
    books = display_books(
        times,
        path.price[seen],
        path.density[seen],
        epsilon=spec.epsilon,
        tick=spec.tick,
        levels=int(spec.levels),
        level_noise=spec.level_noise,
        price_max=1.0 if spec.bounded else inf,
        rng=rng,
    )
    trades = Trades(start_us + trades.times, trades.prices, trades.sizes, trades.signs)
    return SyntheticTape(trades, books, _truth(spec, path))


def _record_trades(
    spec: SyntheticMarket, path: MarketPath, trade_s: Float64Array1D, *, n_days: int, rng: np.random.Generator
) -> Trades:
    """Return the tape: fills at the walked average price, stamped late, in recorded order, inside the window.

    Times are microseconds since the start of the window.
    """
    price = path.price[path.is_trade]
    fills = walk_density(
        price, path.signs, path.sizes, path.density[path.is_trade], epsilon=spec.epsilon, tick=spec.tick
    )
    if spec.bounded:
        fills = np.clip(fills, spec.tick, 1 - spec.tick)
    if min(path.price.min(), fills.min(initial=inf)) <= 0 and not spec.bounded:
        raise ValidationError(
            f"synthetic market: the price reached zero (p0 {spec.p0}, sigma {spec.sigma}, {n_days} days); "
            "raise p0, lower sigma, take fewer days or another seed, or set bounded=1"
        )
    late = rng.uniform(0.0, spec.stamp_delay_s, len(trade_s))
    stamps = np.floor((trade_s + late) * US_PER_S).astype(np.int64)
    order = np.argsort(stamps, kind="stable")
    order = order[stamps[order] < n_days * US_PER_DAY]
    return Trades(stamps[order], fills[order], path.sizes[order], path.signs[order])


def _truth(spec: SyntheticMarket, path: MarketPath) -> dict[str, float]:
    gamma = spec.permanent_impact * path.mean_scale
    return {
        "sigma": spec.sigma * path.last_scale,
        "gamma": gamma,
        "epsilon": spec.epsilon + spec.tick / 2,
        "book_slope": 1 / (2 * spec.density),
        "resilience_rate": spec.resilience_rate,
        "kappa": 1 / spec.density - gamma,
    }


def _check_size(spec: SyntheticMarket, n_days: int) -> None:
    if n_days < 1 or n_days != int(n_days):
        raise ValidationError(f"synthetic market: n_days is {n_days}; allowed: a whole number from 1 on")
    cells = n_days * SECONDS_PER_DAY / spec.snapshot_s * spec.levels
    if cells > MAX_CELLS or n_days * spec.trades_per_day > MAX_CELLS:
        raise ValidationError(
            f"synthetic market: {n_days} days with snapshot_s {spec.snapshot_s}, levels {spec.levels} and "
            f"trades_per_hour {spec.trades_per_hour} are too large to hold in memory; take fewer of them"
        )
