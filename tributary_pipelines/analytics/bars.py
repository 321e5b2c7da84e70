"""VWAP bars: what makes a frame of them right, and how short bars become long ones.

Bars are made in the database (frame core.result_frames.VWAP_BARS). They carry additive columns, so that any multiple of
their width follows from them; the ratio vwap = notional / volume is always taken last. Bars start on the grid of whole
widths since 1970-01-01 UTC.
"""

import pandas as pd

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import Trades
from tributary_pipelines.core.result_frames import VWAP_BARS
from tributary_pipelines.core.units import US_PER_S

#: Relative tolerance of sums and ratios of doubles.
TOLERANCE = 1e-9

_TOKEN = ["market_id", "token_id"]
_SUMS = ["volume", "notional", "signed_volume", "n_trades"]


def vwap(trades: Trades) -> float | None:
    """Return the volume-weighted average price, P; None when nothing traded.

    Examples
    --------
    >>> import numpy as np
    >>> two = np.array([1.0, 2.0])
    >>> vwap(Trades(np.arange(2), two, np.array([3.0, 1.0]), np.ones(2, np.int8)))
    1.25
    """
    volume = float(trades.sizes.sum())
    return float(trades.prices @ trades.sizes) / volume if volume > 0 else None


def check_bars(bars: pd.DataFrame, *, width_s: float, traded_volume: float | None = None) -> list[str]:
    """Return every rule that the bars break, in words; an empty list when they are right.

    Parameters
    ----------
    bars : pandas.DataFrame
        Frame VWAP_BARS, of any number of tokens.
    width_s : float
        Width of the bars, s.
    traded_volume : float, optional
        Shares that traded in the time of the bars; their volumes must add up to it.
    """
    missing = [name for name in VWAP_BARS.column_names if name not in bars.columns]
    if missing:
        return [f"columns are missing: {', '.join(missing)}"]
    expected = bars["vwap"] * bars["volume"]
    rules = {
        "a bar has volume > 0": bars["volume"] > 0,
        "a bar has at least one trade": bars["n_trades"] >= 1,
        "open, close and vwap lie within low..high": _are_inside(bars),
        "notional equals vwap times volume": (bars["notional"] - expected).abs() <= TOLERANCE * expected.abs(),
        "signed volume is at most volume": bars["signed_volume"].abs() <= bars["volume"] * (1 + TOLERANCE),
        f"bars start on whole multiples of {width_s:g} s": _starts_us(bars) % round(width_s * US_PER_S) == 0,
        "one bar a token and start": ~bars.duplicated(["timestamp", *_TOKEN]),
    }
    broken = [_describe(bars, rule, holds.astype(bool)) for rule, holds in rules.items() if not holds.all()]
    volume = float(bars["volume"].sum())
    if traded_volume is not None and abs(volume - traded_volume) > TOLERANCE * max(volume, traded_volume):
        broken.append(f"bars add up to {volume:g} shares, the trades to {traded_volume:g}")
    return broken


def resample_bars(bars: pd.DataFrame, *, width_s: float) -> pd.DataFrame:
    """Return bars of a longer width; sums are conserved, times without a trade have no row.

    Parameters
    ----------
    bars : pandas.DataFrame
        Frame VWAP_BARS in any order, of a width that divides the new one.
    width_s : float
        New width, s.

    Raises
    ------
    ValidationError
        ``width_s`` is not positive.

    Examples
    --------
    >>> bars = pd.DataFrame({
    ...     "timestamp": pd.to_datetime([0, 60], unit="s", utc=True), "market_id": "m", "token_id": "t",
    ...     "open": [1.0, 2.0], "high": [1.0, 2.0], "low": [1.0, 2.0], "close": [1.0, 2.0], "vwap": [1.0, 2.0],
    ...     "volume": [1.0, 3.0], "notional": [1.0, 6.0], "signed_volume": [1.0, -3.0], "n_trades": [1, 1]})
    >>> resample_bars(bars, width_s=300)[["open", "close", "vwap", "volume"]].values.tolist()
    [[1.0, 2.0, 1.75, 4.0]]
    """
    if not width_s > 0:
        raise ValidationError(f"bar width {width_s} s is not positive; give the new width in seconds")
    width_us = round(width_s * US_PER_S)
    starts = _starts_us(bars)
    ordered = bars.assign(timestamp=pd.to_datetime(starts - starts % width_us, unit="us", utc=True))
    ordered = ordered.iloc[starts.argsort(kind="stable")]
    kinds = {"open": "first", "high": "max", "low": "min", "close": "last", **dict.fromkeys(_SUMS, "sum")}
    longer = ordered.groupby(["timestamp", *_TOKEN], as_index=False, observed=True).agg(kinds)
    longer["vwap"] = longer["notional"] / longer["volume"].where(longer["volume"] > 0)
    return longer[list(VWAP_BARS.column_names)]


def _starts_us(bars: pd.DataFrame) -> "pd.Series[int]":
    return pd.to_datetime(bars["timestamp"], utc=True).dt.as_unit("us").astype("int64")


def _are_inside(bars: pd.DataFrame) -> "pd.Series[bool]":
    # The vwap of a flat bar may miss its price by a rounding.
    slack = TOLERANCE * bars["high"].abs()
    prices = bars[["open", "close", "vwap"]]
    return (prices.min(axis=1) >= bars["low"] - slack) & (prices.max(axis=1, skipna=False) <= bars["high"] + slack)


def _describe(bars: pd.DataFrame, rule: str, holds: "pd.Series[bool]") -> str:
    first = bars.loc[~holds].iloc[0]
    where = f"{first['timestamp']} {first['market_id']} {first['token_id']}"
    return f"{int((~holds).sum())} of {len(bars)} bars break '{rule}', the first at {where}"
