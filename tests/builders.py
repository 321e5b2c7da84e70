"""Orders that several tests share, as objects and as options of the command line, and what an answer must hold.

The paper's order is the example of Almgren and Chriss (2000), Table 1: 1e6 shares sold within 5 days in 5 slices. Keys
stand in the order in which an answer gives them.
"""

from collections.abc import Mapping
from math import fsum
from typing import Any

import pytest

from tributary_pipelines.analytics.optimization.almgren_chriss import ImpactModel
from tributary_pipelines.analytics.optimization.strategies import ParentOrder

PAPER_MODEL = ImpactModel(sigma=0.95, gamma=2.5e-7, eta=2.5e-6, epsilon=0.0625)
PAPER_ORDER = ParentOrder("sell", 1e6, 5 * 86_400.0, 5)
#: Risk aversion of the paper's plan in ``assert_is_the_papers_plan``, 1 per unit of money.
PAPER_RISK_AVERSION = 1e-6

RISK_KEYS = ("risk_aversion", "urgency", "kappa_per_day", "lvar_confidence", "lvar")
PLAN_KEYS = (
    "strategy",
    "slices",
    "expected_cost",
    "cost_std",
    "cost_variance",
    *RISK_KEYS,
    "components",
    "flags",
    "status",
    "reasons",
)
SLICE_KEYS = ("index", "start_s", "quantity", "remaining")
COMPONENT_KEYS = ("permanent", "spread", "temporary", "fees")
#: Of the replay itself; the command line puts ``order`` before them and ``result_id`` behind.
REPLAY_KEYS = (
    "status",
    "reasons",
    "flags",
    "fills",
    "filled",
    "unfilled",
    "average_price",
    "arrival_mid",
    "shortfall",
    "bracket",
    "predicted",
    "benchmarks",
    "no_fill_reasons",
)
SHORTFALL_KEYS = (
    "total",
    "delay",
    "spread",
    "temporary",
    "permanent",
    "timing",
    "opportunity",
    "fees",
    "total_bps",
)
FILL_KEYS = ("at", "price", "quantity", "slice", "level", "snapshot_at", "snapshot_age_s")
BRACKET_KEYS = ("no_refill", "calibrated", "full_refill")
PREDICTED_KEYS = ("cost", "cost_low", "cost_high")


def order_options(order: ParentOrder) -> tuple[str, ...]:
    """Return an order as options of the command line."""
    horizon = f"{order.horizon_s:.12g}s"
    return (
        *("--shares", f"{order.shares:.12g}", "--side", order.side),
        *("--horizon", horizon, "--slices", str(order.n_slices)),
    )


def model_options(model: ImpactModel) -> tuple[str, ...]:
    """Return parameters given by hand as options of the command line."""
    values = {name: getattr(model, name) for name in ("sigma", "gamma", "eta", "epsilon")}
    return tuple(text for name, value in values.items() for text in (f"--{name}", repr(value)))


def assert_is_the_papers_plan(answer: Mapping[str, Any]) -> None:
    """The Almgren-Chriss plan of the paper's order at its risk aversion: every key, and the numbers to 12 digits."""
    assert tuple(answer) == PLAN_KEYS
    assert tuple(answer["components"]) == COMPONENT_KEYS
    assert [tuple(part) for part in answer["slices"]] == [SLICE_KEYS] * 5
    assert [part["index"] for part in answer["slices"]] == [1, 2, 3, 4, 5]
    assert [part["start_s"] for part in answer["slices"]] == [86_400.0 * k for k in range(5)]
    assert fsum(part["quantity"] for part in answer["slices"]) == 1e6
    assert answer["slices"][0]["quantity"] == pytest.approx(458_044.44562608, rel=1e-12)
    assert answer["slices"][0]["remaining"] == pytest.approx(1e6 - 458_044.44562608, rel=1e-12)
    assert answer["slices"][-1]["remaining"] == 0
    assert answer["expected_cost"] == pytest.approx(911_226.98630379, rel=1e-12)
    assert answer["cost_std"] == pytest.approx(603_430.66880806, rel=1e-12)
    assert answer["cost_variance"] == pytest.approx(364_128_572_058.14, rel=1e-12)
    assert answer["risk_aversion"] == PAPER_RISK_AVERSION
    assert answer["kappa_per_day"] == pytest.approx(0.60707616324706, rel=1e-12)
    assert answer["urgency"] == pytest.approx(3.0353808162, rel=1e-10)
    assert (answer["flags"], answer["status"], answer["reasons"]) == ([], "ok", [])
    assert fsum(answer["components"].values()) == pytest.approx(answer["expected_cost"], rel=1e-14)
    assert (answer["components"]["spread"], answer["components"]["fees"]) == (62_500, 0)
