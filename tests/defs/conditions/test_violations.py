"""How the cells of a result row are read."""

import numpy as np
import pandas as pd
import pytest

from tributary_pipelines.defs import conditions
from tributary_pipelines.defs.conditions.violations import as_number


@pytest.mark.parametrize(("listed", "texts"), [('["a", "b"]', ["a", "b"]), (["a"], ["a"]), (None, [])])
def test_reasons_are_read_from_json_and_lists(listed: object, texts: list[str]) -> None:
    assert list(conditions.as_list(listed)) == texts


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, pd.NaT, pd.NA])
def test_a_missing_number_is_none(missing: object) -> None:
    assert as_number(missing) is None


def test_a_number_is_a_float() -> None:
    assert (as_number(np.float64(0.5)), as_number(0), as_number(float("inf"))) == (0.5, 0.0, float("inf"))
