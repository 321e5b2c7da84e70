"""A series of short-lived markets as one: the day's statistics of its markets add up to the day of the series.

A market that lives for minutes or a week never has a window of its own; what its series has in common (how flow moves
the price, how deep the book is) is estimated from all of them. Each market's moves, lags and books stay its own: sums
are added after they were made, so that nothing is compared across two markets.
"""

from collections.abc import Sequence
from dataclasses import fields
from math import isfinite, sqrt
from typing import Any

import numpy as np

from tributary_pipelines.analytics.calibration.impact_statistics import SHAPES, ImpactStatistics
from tributary_pipelines.analytics.calibration.resampling import BLOCKS_PER_DAY
from tributary_pipelines.analytics.volatility_measures import combine_measures
from tributary_pipelines.core.errors import CalibrationError
from tributary_pipelines.core.units import SECONDS_PER_DAY

#: Token of a series' own rows; no venue uses it.
SERIES_TOKEN = "*"  # noqa: S105

_COUNTS = tuple(field.name for field in fields(ImpactStatistics) if field.name.startswith("n_"))
_BLOCK_S = SECONDS_PER_DAY / BLOCKS_PER_DAY
_OF_CURVES = frozenset({"cost_buy_sum", "cost_sell_sum", "n_cost_buy", "n_cost_sell"})


def add_statistics(
    parts: Sequence[ImpactStatistics], *, series_id: str, data_fingerprint: str = ""
) -> ImpactStatistics:
    """Add up one day of the markets of a series.

    Parameters
    ----------
    parts : sequence of ImpactStatistics
        At least one, all of the same day.
    series_id : str
        Becomes the market of the result; its token is ``*``.
    data_fingerprint : str
        Fingerprint of the raw data of all of them, carried along.

    Returns
    -------
    ImpactStatistics
        Price bounds are kept where all markets declare the same, else they are None. Of each 2 h block no more than
        its length counts as covered, where markets are open at the same time. With bounds the last mid is the typical
        price, at which sigma and a fee are those of the day as a whole (the upper one, where fees are higher): the
        last mid of a market that ended near a bound says nothing of the next market. Without bounds, or where no market
        lived long enough to show a move, it is that of the market that began last.

    Raises
    ------
    CalibrationError
        No statistics, or those of different days or versions.
    """
    if len({(part.day, part.code_version) for part in parts}) != 1:
        raise CalibrationError(
            f"series {series_id}: statistics of one day and version are needed, these are {_described(parts)}"
        )
    ordered = sorted(parts, key=lambda part: (part.first_snapshot_s is not None, part.first_snapshot_s, part.market_id))
    newest = ordered[-1]
    bounds = {(part.price_min, part.price_max) for part in parts}
    price_min, price_max = bounds.pop() if len(bounds) == 1 else (None, None)
    arrays = _added_arrays(parts, newest.cost_unit)
    typical = _typical_price(arrays, price_min, price_max)
    values: dict[str, Any] = {
        "timestamp": newest.timestamp,
        "market_id": series_id,
        "token_id": SERIES_TOKEN,
        "first_snapshot_s": min((p.first_snapshot_s for p in parts if p.first_snapshot_s is not None), default=None),
        "covered_s": float(np.minimum(arrays["spread_s"], _BLOCK_S).sum()),
        "price_min": price_min,
        "price_max": price_max,
        "cost_unit": newest.cost_unit,
        **{name: _least([getattr(part, name) for part in parts]) for name in ("tick_size", "price_step")},
        "last_mid": _last_mid(ordered) if typical is None else typical,
        "code_version": newest.code_version,
        "data_fingerprint": data_fingerprint,
        **{name: sum(getattr(part, name) for part in parts) for name in _COUNTS if name not in SHAPES},
    }
    return ImpactStatistics(**values, **arrays)


def _added_arrays(parts: Sequence[ImpactStatistics], cost_unit: float) -> dict[str, Any]:
    same_sizes = [part for part in parts if part.cost_unit == cost_unit]
    added = {
        name: np.sum([getattr(part, name) for part in (same_sizes if name in _OF_CURVES else parts)], axis=0)
        for name in SHAPES
    }
    return added | {"volatility_measures": combine_measures(np.array([part.volatility_measures for part in parts]))}


def _typical_price(arrays: dict[str, Any], price_min: float | None, price_max: float | None) -> float | None:
    """Return the price p at which (p - a)(b - p)/(b - a) is its root mean square over the day; None without a move."""
    n_moves = float(arrays["n_moves"][:, 0].sum())
    if price_min is None or price_max is None or not n_moves:
        return None
    width = price_max - price_min
    scale = sqrt(float(arrays["move_scale_sq"][:, 0].sum()) / n_moves)
    if not isfinite(scale):
        return None
    return (price_min + price_max) / 2 + width / 2 * sqrt(max(1 - 4 * scale / width, 0.0))


def _least(values: Sequence[float | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _last_mid(ordered: Sequence[ImpactStatistics]) -> float | None:
    return next((part.last_mid for part in reversed(ordered) if part.last_mid is not None), None)


def _described(parts: Sequence[ImpactStatistics]) -> str:
    return ", ".join(f"{part.market_id} {part.day} {part.code_version}" for part in parts) or "none"
