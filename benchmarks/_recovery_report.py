"""Tables and page of the recovery study, from the replications' results; the figures come from _recovery_figures.py.

A bold figure with an exclamation mark is worse than the reference by more than Monte-Carlo error.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks._recovery_figures import CLEAR, Figure, Recovery, is_worse, measure, reference_of
from benchmarks._recovery_replication import CODE_VERSIONS, PARAMETERS
from benchmarks.recovery_scenarios import (
    FURTHER_SCENARIOS,
    REFERENCE_REPLICATIONS,
    REFERENCE_SCENARIOS,
    Scenario,
)

COVERAGE_GOAL = (0.90, 0.98)
COVERAGE_GOAL_PARAMETERS = ("sigma", "gamma", "book_slope")
COVERAGE_GOAL_DAYS = 30
NAMES = {
    "sigma": "sigma, volatility",
    "gamma": "gamma, permanent impact",
    "book_slope": "b, slope of the book",
    "resilience_rate": "rho, resilience rate",
    "transient_eta": "eta~ at 60 s, transient impact",
}
_DECIMALS = {"bias": 1, "rmse": 1, "p95": 1, "coverage": 2}
_PAGE = """# Recovery of known parameters

Synthetic markets whose parameters are known, calibrated by the package as a user's market is: what comes out, how far
it is from the truth, and how often the 95 % interval holds the truth. Made by

    {command}

with {versions}, numpy {numpy}, sources `{code}`.
Replication k of scenario i (its place in `benchmarks/recovery_scenarios.py`, from 0) is drawn from
`numpy.random.SeedSequence((i, k))`: any machine gives these numbers. With `--results FILE.jsonl` the command can be
stopped and run again.

## How to read it

* Errors are relative, in per cent: estimate / truth - 1. **bias** is their mean, **RMSE** the root of their mean
  square, **p95** the 95th percentile of their size. One user sees one draw: p95 says how far off it may be, the bias
  what would remain however many markets one averages.
* **coverage** is the share of 95 % intervals that hold the truth.
* **refused** counts replications in which the calibration gave no value; errors are those of the others.
* After ± stands the Monte-Carlo standard error. "ref" is the reference, {n_reference} replications of the same recipe
  by code that shares nothing with the package, with errors of its own. A figure in **bold!** is worse than the
  reference by more than two standard errors of the difference, which chance alone does to about one figure in forty.
* The reference for b was made on deeper books with one range of sizes for the whole window. Here books show 20 levels
  a side and each is fitted over its own depth.

"""
_FURTHER = """## Beyond the reference

The base market with one thing changed. Where sides depend on each other or on the news, the long-run variance that
sigma is measured against is larger than the option says, by the formula in `benchmarks/recovery_scenarios.py`.

"""

Results = Sequence[dict[str, Any]]


def render_page(results: Results, command: str, code: str) -> str:
    """Return docs/recovery.md."""
    head = _PAGE.format(
        command=command,
        versions=", ".join(f"`{version}`" for version in CODE_VERSIONS),
        numpy=np.__version__,
        code=code,
        n_reference=REFERENCE_REPLICATIONS,
    )
    return head + render_tables(results)


def render_tables(results: Results) -> str:
    """Return all tables of the scenarios that have results, in Markdown."""
    by_name = defaultdict(list)
    for result in sorted(results, key=lambda result: result["replication"]):
        by_name[result["scenario"]].append(result)
    reference = [(scenario, by_name[scenario.name]) for scenario in REFERENCE_SCENARIOS if by_name[scenario.name]]
    further = [(scenario, by_name[scenario.name]) for scenario in FURTHER_SCENARIOS if by_name[scenario.name]]
    parts = []
    if reference:
        parts += ["## Against the reference\n", _summary(reference)]
        parts += [_reference_table(parameter, reference) for parameter in NAMES]
    if further:
        parts += [_FURTHER.rstrip("\n") + "\n", _flag_table(further)]
        parts += [_further_table(parameter, further) for parameter in NAMES]
    return "\n".join(parts)


def _summary(rows: list[tuple[Scenario, Results]]) -> str:
    """Return in words what is worse than the reference, which coverages miss the goal, and how exact epsilon is."""
    worse, outside = [], []
    for scenario, results in rows:
        for parameter in PARAMETERS:
            found, reference = measure(results, parameter), reference_of(scenario, parameter)
            worse += [f"{name} of {parameter} in {scenario.name}" for name in _worse(found, reference)]
            if parameter in COVERAGE_GOAL_PARAMETERS and scenario.n_days >= COVERAGE_GOAL_DAYS:
                outside += _missed_goal(f"{parameter} in {scenario.name}", found.coverage)
    exact = [measure(results, "epsilon").rmse for _, results in rows]
    largest = max((figure.value for figure in exact if figure is not None), default=float("nan"))
    return (
        f"Worse than the reference by more than Monte-Carlo error: {', '.join(worse) or 'nothing'}.\n\n"
        f"Coverage at 30 days outside {COVERAGE_GOAL[0]:.2f} to {COVERAGE_GOAL[1]:.2f} for sigma, gamma and b "
        f"(in bold by more than two standard errors): {', '.join(outside) or 'nowhere'}.\n\n"
        "epsilon, the quoted half-spread, is an identity of this market: quotes lie half a tick beyond it on average. "
        f"Its largest RMSE in any scenario is {largest:.1g} %.\n"
    )


def _missed_goal(what: str, coverage: Figure | None) -> list[str]:
    """Return the coverage in words when it misses the goal, in bold when by more than Monte-Carlo error."""
    if coverage is None:
        return []
    missed = max(COVERAGE_GOAL[0] - coverage.value, coverage.value - COVERAGE_GOAL[1])
    text = f"{what} ({_cell('coverage', coverage)})"
    if missed > CLEAR * coverage.error:
        return [f"**{text}!**"]
    return [text] if missed > 0 else []


def _worse(found: Recovery, reference: dict[str, Figure]) -> list[str]:
    figures = {name: getattr(found, name) for name in reference}
    return [name for name, figure in figures.items() if figure is not None and is_worse(name, figure, reference[name])]


def _reference_table(parameter: str, rows: list[tuple[Scenario, Results]]) -> str:
    lines = [
        f"### {NAMES[parameter]}\n",
        "| scenario | n | refused | bias % | ref | RMSE % | ref | p95 % | ref | coverage | ref |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for scenario, results in rows:
        found, reference = measure(results, parameter), reference_of(scenario, parameter)
        worse = _worse(found, reference)
        cells = [f"{scenario.name}: {scenario.meaning}", str(found.n), str(found.n_refused)]
        for name in _DECIMALS:
            ours = _cell(name, getattr(found, name))
            cells += [f"**{ours}!**" if name in worse else ours, _cell(name, reference.get(name), has_error=False)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _further_table(parameter: str, rows: list[tuple[Scenario, Results]]) -> str:
    lines = [
        f"### {NAMES[parameter]} (beyond the reference)\n",
        "| scenario | n | refused | bias % | RMSE % | p95 % | coverage |",
        "|---|---|---|---|---|---|---|",
    ]
    for scenario, results in rows:
        found = measure(results, parameter)
        figures = [_cell(name, getattr(found, name)) for name in _DECIMALS]
        lines.append(f"| {' | '.join([scenario.name, str(found.n), str(found.n_refused), *figures])} |")
    return "\n".join(lines) + "\n"


def _flag_table(rows: list[tuple[Scenario, Results]]) -> str:
    lines = [
        "| scenario | what is different | refused | should warn | warned | flags raised, share of replications |",
        "|---|---|---|---|---|---|",
    ]
    for scenario, results in rows:
        counts = Counter(flag for result in results for flag in set(result["flags"]))
        flags = ", ".join(f"{flag} {n / len(results):.2f}" for flag, n in counts.most_common()) or "none"
        refused = sum(result["status"] == "refused" for result in results) / len(results)
        cells = [scenario.name, scenario.meaning, f"{refused:.2f}", " or ".join(scenario.warnings)]
        cells += [_share_warned(scenario, results), flags]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _share_warned(scenario: Scenario, results: Results) -> str:
    if not scenario.warnings:
        return ""
    return f"{sum(not set(scenario.warnings).isdisjoint(result['flags']) for result in results) / len(results):.2f}"


def _cell(name: str, figure: Figure | None, *, has_error: bool = True) -> str:
    if figure is None:
        return ""
    digits = _DECIMALS[name]
    # Adding 0 turns a rounded -0.0 into 0.0.
    value = f"{round(figure.value, digits) + 0:.{digits}f}"
    return f"{value} ± {figure.error:.{digits}f}" if has_error else value
