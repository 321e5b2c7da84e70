"""Each law of a replay, broken on purpose, is caught."""

from dataclasses import replace

import pytest

from tests.analytics.simulation.recorded import MARKET, START_US
from tributary_pipelines.analytics.optimization.strategies import ParentOrder
from tributary_pipelines.analytics.simulation.conservation import verify_replay
from tributary_pipelines.analytics.simulation.events import FillEvent
from tributary_pipelines.analytics.simulation.metrics import OrderMids, measure_shortfall
from tributary_pipelines.core.errors import SimulationError

ORDER = ParentOrder("buy", 100.0, 60.0, 2, START_US)
MIDS = OrderMids(0.50, 0.501, 0.52)
FILLS = (
    FillEvent(START_US, 1, 1, 1, 40.0, 0.51, 50.0, 0.0, 0.0, 0.0, START_US, 0.51, 0.505),
    FillEvent(START_US + 30_000_000, 2, 1, 1, 50.0, 0.51, 50.0, 0.0, 0.001, 0.002, START_US + 20_000_000, 0.51, 0.505),
)


def verify(fills=FILLS, *, unfilled=10.0, change=None, mids=MIDS):
    arguments = {"gamma": 1e-5, "market": MARKET, "mids": mids, "unfilled": unfilled}
    shortfall = measure_shortfall(fills, sign=1, splits_impact=True, **arguments)
    verify_replay(ORDER, fills, shortfall=replace(shortfall, **(change or {})), **arguments)
    return True


def test_a_lawful_replay_passes():
    assert verify()
    assert verify((), unfilled=100.0)
    assert verify(mids=OrderMids(None, None, None))
    assert verify(mids=OrderMids(0.5, 0.5, None))


@pytest.mark.parametrize(
    ("breach", "message"),
    [
        ({"unfilled": 9.0}, "filled 90 . unfilled 9 is not ordered 100"),
        ({"fills": (FILLS[0],)}, "is not ordered"),
        ({"fills": (*FILLS, replace(FILLS[0], quantity=-5.0)), "unfilled": 15.0}, "a quantity is not positive"),
        ({"fills": (replace(FILLS[0], quantity=110.0),), "unfilled": -10.0}, "a quantity is not positive"),
        ({"fills": (FILLS[0], replace(FILLS[1], quantity=50.1)), "unfilled": 9.9}, "level 1 showed 50 and gave 50.1"),
        ({"fills": (FILLS[0], replace(FILLS[0], slice_index=2, quantity=20.0)), "unfilled": 40.0}, "gave 60 shares"),
        ({"fills": (replace(FILLS[0], snapshot_us=START_US + 1), FILLS[1])}, "snapshot from its future"),
        ({"change": {"spread": 1.0}}, "the parts of the shortfall add up to"),
        ({"change": {"fees": float("nan")}}, "the parts of the shortfall add up to"),
        ({"change": {"timing": None}}, "the parts of the shortfall add up to None"),
    ],
)
def test_every_breach_is_an_error(breach, message):
    with pytest.raises(SimulationError, match=message):
        verify(**breach)


def test_all_breaches_are_named():
    with pytest.raises(SimulationError, match=r"is not ordered .*; .*gave 200"):
        verify((replace(FILLS[0], quantity=200.0),))
