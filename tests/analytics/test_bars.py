import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.markets import START, trades_of
from tributary_pipelines.analytics.bars import check_bars, resample_bars, vwap
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import Trades, no_trades
from tributary_pipelines.core.result_frames import VWAP_BARS

GOOD = {
    "timestamp": START,
    "market_id": "m",
    "token_id": "t",
    "open": 0.50,
    "high": 0.60,
    "low": 0.40,
    "close": 0.55,
    "vwap": 0.5,
    "volume": 100.0,
    "notional": 50.0,
    "signed_volume": -20.0,
    "n_trades": 3,
}


def frame_of(*changes: dict) -> pd.DataFrame:
    return pd.DataFrame([GOOD | change for change in changes])


def bars_from(trades: Trades, width_s: int) -> pd.DataFrame:
    """Bars made one by one, in plain words."""
    rows = []
    starts = trades.times - trades.times % (width_s * 1_000_000)
    for start in np.unique(starts):
        p, v, s = (column[starts == start] for column in (trades.prices, trades.sizes, trades.signs))
        rows.append(
            GOOD
            | {
                "timestamp": pd.Timestamp(int(start), unit="us", tz="UTC"),
                "open": p[0],
                "high": p.max(),
                "low": p.min(),
                "close": p[-1],
                "vwap": (p * v).sum() / v.sum(),
                "volume": v.sum(),
                "notional": (p * v).sum(),
                "signed_volume": (s * v).sum(),
                "n_trades": len(p),
            }
        )
    return pd.DataFrame(rows, columns=list(VWAP_BARS.column_names))


def test_vwap_weights_by_size() -> None:
    assert vwap(trades_of((0, 0.5, 100, 1), (1, 0.6, 300, -1))) == pytest.approx(0.575)


def test_vwap_of_no_trades_is_none() -> None:
    assert vwap(no_trades()) is None


def test_good_bars_break_nothing() -> None:
    bars = frame_of({}, {"timestamp": START + pd.Timedelta(minutes=5)}, {"token_id": "u"})
    assert check_bars(bars, width_s=300, traded_volume=300.0) == []
    assert check_bars(frame_of(), width_s=300, traded_volume=0.0) == ["columns are missing: " + ", ".join(GOOD)]


def test_flat_bar_may_miss_its_price_by_a_rounding() -> None:
    price = 0.1 + 0.2
    flat = {"open": 0.3, "high": 0.3, "low": 0.3, "close": 0.3, "vwap": price, "volume": 1.0, "notional": price}
    assert check_bars(frame_of(flat | {"signed_volume": 0.0}), width_s=300) == []


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"open": 0.61}, "open, close and vwap lie within low..high"),
        ({"close": 0.39}, "open, close and vwap lie within low..high"),
        ({"vwap": 0.7, "notional": 70.0}, "open, close and vwap lie within low..high"),
        ({"vwap": np.nan}, "open, close and vwap lie within low..high"),
        ({"volume": 0.0, "notional": 0.0, "signed_volume": 0.0}, "a bar has volume > 0"),
        ({"volume": np.nan}, "a bar has volume > 0"),
        ({"n_trades": 0}, "a bar has at least one trade"),
        ({"notional": 51.0}, "notional equals vwap times volume"),
        ({"signed_volume": -101.0}, "signed volume is at most volume"),
        ({"timestamp": START + pd.Timedelta(seconds=1)}, "bars start on whole multiples of 300 s"),
    ],
)
def test_each_broken_rule_is_named_with_its_bar(change: dict, rule: str) -> None:
    other = {"timestamp": START + pd.Timedelta(hours=1)}
    broken = check_bars(frame_of(other, change), width_s=300)
    assert any(f"1 of 2 bars break '{rule}', the first at 2026-03-01 00:00:0" in text for text in broken)


def test_two_bars_of_one_start_are_named() -> None:
    assert check_bars(frame_of({}, {}), width_s=300) == [
        "1 of 2 bars break 'one bar a token and start', the first at 2026-03-01 00:00:00+00:00 m t"
    ]


def test_volume_that_differs_from_the_trades_is_named() -> None:
    assert check_bars(frame_of({}), width_s=300, traded_volume=101.0) == [
        "bars add up to 100 shares, the trades to 101"
    ]


def test_missing_columns_are_named() -> None:
    assert check_bars(frame_of({}).drop(columns=["vwap", "low"]), width_s=300) == ["columns are missing: low, vwap"]


def test_resampling_needs_a_positive_width() -> None:
    with pytest.raises(ValidationError, match="not positive"):
        resample_bars(frame_of({}), width_s=0)


def test_resampled_bar_without_volume_has_no_vwap() -> None:
    longer = resample_bars(frame_of({"volume": 0.0, "notional": 0.0}), width_s=300)
    assert longer["vwap"].isna().all()


def test_resampling_keeps_tokens_apart_and_its_input_unchanged() -> None:
    bars = frame_of({"timestamp": START + pd.Timedelta(minutes=1), "open": 0.45}, {}, {"token_id": "u"})
    before = bars.copy()
    longer = resample_bars(bars, width_s=3_600)
    assert longer[["token_id", "open", "volume"]].to_numpy().tolist() == [["t", 0.50, 200.0], ["u", 0.50, 100.0]]
    pd.testing.assert_frame_equal(bars, before)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1_000), st.integers(1, 200))
def test_long_bars_from_short_ones_equal_bars_from_trades(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    rows = zip(
        np.sort(rng.uniform(0, 7_200, n)), rng.uniform(0.1, 0.9, n), rng.uniform(1, 99, n), rng.integers(-1, 2, n),
        strict=True,
    )  # fmt: skip
    trades = trades_of(*rows)
    short, long = bars_from(trades, 60), bars_from(trades, 900)
    found = resample_bars(short.sample(frac=1, random_state=seed), width_s=900)
    assert found["timestamp"].tolist() == long["timestamp"].tolist()
    columns = ["open", "high", "low", "close", "vwap", "volume", "notional", "signed_volume", "n_trades"]
    np.testing.assert_allclose(found[columns].to_numpy(float), long[columns].to_numpy(float), rtol=1e-12, atol=1e-9)
    assert check_bars(found, width_s=900, traded_volume=float(trades.sizes.sum())) == []
