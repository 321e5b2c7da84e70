"""Whatever an analytics result holds becomes metadata that Dagster accepts; what is missing is left out."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.defs.metadata import image, over_markets, to_metadata

HOSTILE = {
    "float64": np.float64(0.5),
    "float32": np.float32(0.5),
    "int64": np.int64(7),
    "bool_": np.bool_(True),
    "decimal": Decimal("1.25"),
    "timestamp": pd.Timestamp("2026-03-01T12:00:00Z"),
    "datetime": datetime(2026, 3, 1, 12, tzinfo=UTC),
    "day": date(2026, 3, 1),
    "reasons": ("first", "second"),
    "list": ["a"],
    "path": Path("here"),
    "image": b"\x89PNG",
    "frame": pd.DataFrame({"n": range(60), "text": "a|b"}),
    "value": 0.25,
}


def test_every_kind_is_converted() -> None:
    converted = {key: value.value for key, value in to_metadata(HOSTILE).items()}
    assert converted["float64"] == 0.5
    assert type(converted["float64"]) is float
    assert type(converted["int64"]) is int
    assert converted["bool_"] is True
    assert converted["decimal"] == 1.25
    assert converted["timestamp"] == converted["datetime"] == "2026-03-01T12:00:00Z"
    assert converted["day"] == "2026-03-01"
    assert converted["reasons"] == "first; second"
    assert str(converted["image"]).startswith("![](data:image/png;base64,")


def test_a_picture_says_what_it_shows() -> None:
    assert str(image(b"x", "cost [P]\nby size").value) == "![cost (P) by size](data:image/png;base64,eA==)"


def test_dagster_accepts_all_of_it_and_not_the_values_as_they_are(instance: dg.DagsterInstance) -> None:
    @dg.asset
    def converted() -> dg.MaterializeResult:  # type: ignore[type-arg]
        return dg.MaterializeResult(metadata=to_metadata(HOSTILE))

    @dg.asset
    def plain() -> dg.MaterializeResult:  # type: ignore[type-arg]
        return dg.MaterializeResult(metadata={"x": HOSTILE["reasons"]})

    assert dg.materialize([converted], instance=instance).success
    assert not dg.materialize([plain], instance=instance, raise_on_error=False).success


@pytest.mark.parametrize("missing", [None, float("nan"), float("inf"), np.nan, pd.NaT, Decimal("NaN")])
def test_a_missing_number_has_no_entry(missing: object) -> None:
    assert to_metadata({"sigma": missing}) == {}


def test_a_table_is_cut_at_fifty_rows_and_says_so() -> None:
    text = str(to_metadata({"frame": HOSTILE["frame"]})["frame"].value)
    assert text.count("\n| ") == 1 + 50
    assert text.endswith("and 10 more")
    assert "a\\|b" in text


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValidationError, match="'thing' cannot show a object"):
        to_metadata({"thing": object()})


def test_one_market_shows_its_numbers_and_a_series_a_table() -> None:
    one, two = {"market_id": "a", "sigma": 0.1}, {"market_id": "b", "sigma": 0.2, "curve": b"png"}
    assert over_markets([one], "none") == one
    series = over_markets([one, two], "none")
    assert series["n_markets"] == 2
    assert "curve" not in pd.DataFrame(series["markets"]).columns
    assert over_markets([], "no trades") == {"status": "no_data", "reasons": "no trades"}
