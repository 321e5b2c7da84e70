"""What the UI is told of standard orders: refused only when all are, each reason once, a series as a table."""

import pandas as pd

from tributary_pipelines.defs.assets.standard_orders import describe_orders, listed_reasons

ROWS = pd.DataFrame(
    [
        ("a", "ok", '["late book"]'),
        ("a", "refused", '["late book", "lot"]'),
        ("b", "refused", '["no parameters"]'),
        ("b", "refused", "[]"),
    ],
    columns=["market_id", "status", "reasons"],
)


def counted(own: pd.DataFrame) -> dict[str, object]:
    return {"n_orders": len(own)}


def test_one_market_is_refused_when_all_its_orders_are() -> None:
    first, second = (describe_orders(ROWS[ROWS["market_id"] == name], counted) for name in ("a", "b"))
    assert first == {"status": "ok", "market_id": "a", "reasons": ["late book", "lot"], "n_orders": 2}
    assert second == {"status": "refused", "market_id": "b", "reasons": ["no parameters"], "n_orders": 2}


def test_the_markets_of_a_series_stand_in_one_table() -> None:
    shown = describe_orders(ROWS, counted)
    assert (shown["status"], shown["n_markets"]) == ("series", 2)
    assert isinstance(shown["markets"], pd.DataFrame)
    assert shown["markets"]["status"].tolist() == ["ok", "refused"]


def test_without_orders_there_is_nothing_to_show_and_that_is_said() -> None:
    assert describe_orders(ROWS.iloc[:0], counted) == {"status": "no_data", "reasons": "no standard orders are set"}


def test_rows_without_reasons_have_none() -> None:
    assert listed_reasons(ROWS.iloc[3:]) is None
