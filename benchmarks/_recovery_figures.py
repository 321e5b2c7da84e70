"""Figures of the recovery study: errors and coverage with their Monte-Carlo error, and those of the reference.

Errors are relative, in per cent: estimate / truth - 1. A standard error of the bias is sd / sqrt(n), of a coverage
binomial, of the RMSE and of the 95th percentile from 400 resamples. The reference has 150 replications of errors that
are about normal, and rounded figures: its standard errors follow from that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from typing import Any

import numpy as np

from benchmarks.recovery_scenarios import REFERENCE_COVERAGES, REFERENCE_PARAMETERS, REFERENCE_REPLICATIONS, Scenario

#: A figure is worse when it exceeds the reference by more than this many standard errors of the difference.
CLEAR = 2.0
COVERAGE = 0.95


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its standard error."""

    value: float
    error: float

    def exceeds(self, other: "Figure") -> bool:
        """Whether it is larger by more than the errors of both explain."""
        return self.value - other.value > CLEAR * hypot(self.error, other.error)


@dataclass(frozen=True, slots=True)
class Recovery:
    """How well one parameter was recovered in one scenario; figures are None when nothing was estimated.

    Parameters
    ----------
    n, n_refused : int
        Replications, and those of them without an estimate.
    bias, rmse, p95 : Figure or None
        Of the relative error, %; p95 of its absolute value.
    coverage : Figure or None
        Share of the 95 % intervals that hold the truth; None without intervals.
    """

    n: int
    n_refused: int
    bias: Figure | None = None
    rmse: Figure | None = None
    p95: Figure | None = None
    coverage: Figure | None = None


def measure(results: Sequence[dict[str, Any]], parameter: str) -> Recovery:
    """Return the recovery of one parameter in the replications of one scenario."""
    estimates = [result["estimates"][parameter] for result in results]
    known = [estimate for estimate in estimates if estimate["value"] is not None]
    n_refused = len(estimates) - len(known)
    if len(known) < 2:
        return Recovery(len(estimates), n_refused)
    errors = np.array([100 * (estimate["value"] / estimate["truth"] - 1) for estimate in known])
    # Seeded by nothing but the purpose: the same results give the same page.
    samples = np.random.default_rng(0).choice(errors, (400, len(errors)))
    return Recovery(
        len(estimates),
        n_refused,
        Figure(float(errors.mean()), float(errors.std(ddof=1)) / sqrt(len(errors))),
        Figure(float(np.sqrt(np.mean(errors**2))), float(np.sqrt(np.mean(samples**2, axis=1)).std())),
        Figure(_p95(errors), float(np.std([_p95(sample) for sample in samples]))),
        _coverage(known),
    )


def _p95(errors: np.ndarray) -> float:
    return float(np.quantile(np.abs(errors), 0.95))


def _coverage(known: list[dict[str, float]]) -> Figure | None:
    inside = [e["low"] <= e["truth"] <= e["high"] for e in known if e["low"] is not None and e["high"] is not None]
    return _proportion(sum(inside), len(inside)) if inside else None


def _proportion(n_yes: float, n: int) -> Figure:
    # Two successes and failures more (Agresti & Coull): all of 100 is not known without error.
    p = (n_yes + 2) / (n + 4)
    return Figure(n_yes / n, sqrt(p * (1 - p) / (n + 4)))


def reference_of(scenario: Scenario, parameter: str) -> dict[str, Figure]:
    """Return the reference figures by name: bias, rmse, p95 in %, and coverage."""
    figures: dict[str, Figure] = {}
    if parameter in REFERENCE_PARAMETERS and scenario.reference:
        bias, rmse, p95 = scenario.reference[REFERENCE_PARAMETERS.index(parameter)]
        sd, root = sqrt(max(rmse**2 - bias**2, 0.0)), sqrt(REFERENCE_REPLICATIONS)
        # Of normal errors: the density of |error| at its 95th percentile gives the last factor.
        scaled = {"bias": (bias, sd / root), "rmse": (rmse, sd / root / sqrt(2)), "p95": (p95, 1.864 * sd / root)}
        figures = {name: Figure(value, hypot(error, _rounding(value))) for name, (value, error) in scaled.items()}
    if parameter in REFERENCE_COVERAGES and scenario.reference_coverage:
        covered = scenario.reference_coverage[REFERENCE_COVERAGES.index(parameter)]
        figures["coverage"] = _proportion(covered * REFERENCE_REPLICATIONS, REFERENCE_REPLICATIONS)
    return figures


def _rounding(value: float) -> float:
    """Return the standard error of rounding: figures of 10 and more are given without decimals."""
    return (1.0 if abs(value) >= 10 else 0.1) / sqrt(12)


def is_worse(name: str, ours: Figure, reference: Figure) -> bool:
    """Whether a figure is clearly worse than the reference: further from 0, or covering less where it should more."""
    if name == "coverage":
        missing = [Figure(-min(figure.value, COVERAGE), figure.error) for figure in (ours, reference)]
        return missing[0].exceeds(missing[1])
    return Figure(abs(ours.value), ours.error).exceeds(Figure(abs(reference.value), reference.error))
