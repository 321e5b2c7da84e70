"""The daily statistics of a window put together: sums by 2 h block stay apart, so that errors can be clustered.

Days may be weighted (exponentially, newest most). Nothing is estimated here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

import numpy as np

from tributary_pipelines.analytics.book_costs import SPAN_TICKS
from tributary_pipelines.analytics.calibration.impact_statistics import OF_DAY, SHAPES, ImpactStatistics
from tributary_pipelines.analytics.calibration.resampling import BLOCKS_PER_DAY, Resampling, resample
from tributary_pipelines.core.errors import CalibrationError
from tributary_pipelines.core.frames import Float64Array1D, Int64Array1D


@dataclass(frozen=True, slots=True, eq=False)
class WindowStatistics:
    """The days of a window, side by side.

    Parameters
    ----------
    days : tuple of ImpactStatistics
        Ascending by day, of one token; they need not be contiguous.
    weights : (n_days,) float64
        Weight of each entry of ``days`` in every sum, 0..1.
    """

    days: tuple[ImpactStatistics, ...]
    weights: Float64Array1D

    def count(self, name: str) -> int:
        """Return the sum of a count column over the days; counts are not weighted."""
        return sum(getattr(day, name) for day in self.days)

    def blocks(self, name: str) -> Float64Array1D:
        """Return an array column of all days, weighted, blocks outermost, (n_days * 12, ...)."""
        if not self.days:
            return np.zeros((0, *SHAPES[name][1:]))
        stacked = np.concatenate([getattr(day, name) for day in self.days])
        weights = np.repeat(self.weights, BLOCKS_PER_DAY).reshape(-1, *(1,) * (stacked.ndim - 1))
        weighted: Float64Array1D = stacked * weights
        return weighted

    def by_day(self, name: str) -> Float64Array1D:
        """Return an array column without blocks of all days, not weighted, (n_days, ...)."""
        assert name in OF_DAY
        return np.array([getattr(day, name) for day in self.days]).reshape(len(self.days), *SHAPES[name])

    def total(self, name: str) -> Float64Array1D:
        """Return an array column summed over all blocks and days, weighted, of the shape of one block."""
        total: Float64Array1D = self.blocks(name).sum(axis=0)
        return total

    def newest(self, name: str) -> float | None:
        """Return a nullable column of the newest day that has it."""
        return next((value for day in reversed(self.days) if (value := getattr(day, name)) is not None), None)

    @property
    def n_days(self) -> int:
        """Days that hold data."""
        return sum(day.has_data for day in self.days)

    @property
    def dates(self) -> list[date]:
        """The day of each entry."""
        return [day.day for day in self.days]

    @property
    def covered_s(self) -> float:
        """Time within reach of a usable snapshot, s."""
        return float(sum(day.covered_s for day in self.days))

    @property
    def first_snapshot_at(self) -> datetime | None:
        """Time of the first snapshot; None when there is none."""
        for day in self.days:
            if day.first_snapshot_s is not None:
                return day.timestamp + timedelta(seconds=day.first_snapshot_s)
        return None

    @property
    def span_counts(self) -> Float64Array1D:
        """(26,) snapshots by the displayed span of their slope, in whole ticks."""
        return np.sum([day.span_counts for day in self.days], axis=0) if self.days else np.zeros(SPAN_TICKS + 1)

    @property
    def block_days(self) -> Int64Array1D:
        """(n_days * 12,) day of each block, counted from the first."""
        ordinals = [(day.timestamp - self.days[0].timestamp).days for day in self.days]
        return np.repeat(np.array(ordinals, np.int64), BLOCKS_PER_DAY)

    def resampling(self, *, longest_s: float = 0.0) -> Resampling:
        """Return the clusters of the blocks that hold snapshots or trades."""
        has_data = self.blocks("spread_s") + self.blocks("traded")
        weights = np.repeat(self.weights, BLOCKS_PER_DAY)
        return resample(self.block_days, has_data, weights=weights, longest_s=longest_s)


def combine_impact_statistics(
    days: Sequence[ImpactStatistics], *, half_life_days: float | None = None
) -> WindowStatistics:
    """Put the statistics of a token's days together.

    Parameters
    ----------
    half_life_days : float, optional
        A day this much older than the newest counts half; by default all count the same.

    Raises
    ------
    CalibrationError
        Days of different tokens, the same day twice, or days of different versions.
    """
    ordered = tuple(sorted(days, key=lambda day: day.timestamp))
    tokens = {(day.market_id, day.token_id) for day in ordered}
    if len(tokens) > 1:
        raise CalibrationError(
            f"impact statistics of several tokens {sorted(tokens)} cannot be combined; give one token's"
        )
    twice = {str(a.day) for a, b in pairwise(ordered) if a.day == b.day}
    if twice:
        raise CalibrationError(f"impact statistics hold {', '.join(sorted(twice))} more than once; give each day once")
    versions = {day.code_version for day in ordered}
    if len(versions) > 1:
        raise CalibrationError(f"impact statistics were made by versions {sorted(versions)}; recompute the older ones")
    return WindowStatistics(ordered, _weights(ordered, half_life_days))


def _weights(days: Sequence[ImpactStatistics], half_life_days: float | None) -> Float64Array1D:
    if not days or half_life_days is None:
        return np.ones(len(days))
    ages = np.array([(days[-1].timestamp - day.timestamp).days for day in days], dtype=np.float64)
    weights: Float64Array1D = 0.5 ** (ages / half_life_days)
    return weights
