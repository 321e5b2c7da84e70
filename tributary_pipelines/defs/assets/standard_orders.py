"""What the stages of standard orders share: every order of an instrument's days is worked out, stored and shown.

Plans and replays differ in the flow that makes their rows, in their table, and in what is shown of a row; each asset
names these three, and nothing else of them stands twice.
"""

from collections.abc import Callable
from datetime import date

import pandas as pd

from tributary_pipelines.core.frames import Frame
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.settings import AnalyticsSettings, Instrument
from tributary_pipelines.defs.conditions import as_list
from tributary_pipelines.defs.metadata import over_markets
from tributary_pipelines.defs.steps import StageRun, markets_of
from tributary_pipelines.storage.base import MarketStore

#: A flow that returns the rows of one token's standard orders on one day.
OrdersOfDay = Callable[[MarketStore, AnalyticsSettings, Instrument, Market, date], pd.DataFrame]


def replace_orders(run: StageRun, instrument: Instrument, frame: Frame, orders_of_day: OrdersOfDay) -> pd.DataFrame:
    """Work out the standard orders of an instrument for the days of a run, and store them in place of the old.

    Returns
    -------
    pandas.DataFrame
        Rows of ``frame``, of every market and day.

    Raises
    ------
    DataError
        The store does not know the instrument.
    """
    markets = markets_of(run.known, instrument)
    rows = pd.concat(
        [orders_of_day(run.store, run.settings, instrument, market, day) for market in markets for day in run.days]
    )
    run.store.results.replace_days(frame, run.result_days(markets), rows)
    return rows


def describe_orders(rows: pd.DataFrame, shown: Callable[[pd.DataFrame], dict[str, object]]) -> dict[str, object]:
    """Return what the UI shows of one day's standard orders: refused when all of a market's are, with the reasons.

    Parameters
    ----------
    shown
        What the stage shows besides, of one market's rows.
    """
    return over_markets(
        [
            {
                "status": "refused" if (own["status"] == "refused").all() else "ok",
                "market_id": market_id,
                "reasons": listed_reasons(own),
                **shown(own),
            }
            for market_id, own in rows.groupby("market_id", observed=True)
        ],
        absent="no standard orders are set",
    )


def listed_reasons(rows: pd.DataFrame) -> list[str] | None:
    """Return the reasons of result rows, each once, None when there are none."""
    reasons = [reason for listed in rows["reasons"] for reason in as_list(listed)]
    return list(dict.fromkeys(reasons)) or None
