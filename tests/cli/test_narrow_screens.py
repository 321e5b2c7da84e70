"""Tables on a screen of 80 columns: every number stands whole on one line."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import click
import pytest

from tests.cli.calling import answer_of, call
from tributary_pipelines.cli import demo_report, output
from tributary_pipelines.cli.main import cli
from tributary_pipelines.cli.options import Invocation
from tributary_pipelines.cli.output import number, print_table

SIMULATE = (
    *("analytics", "simulate", "--market", "toy", "--shares", "600", "--side", "buy", "--horizon", "1h"),
    *("--slices", "6", "--start", "2026-03-06T12:00:00Z", "--as-of", "2026-03-06", "--strategy", "ac"),
)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_PIPED_WIDTH", 80)


@contextmanager
def click_context() -> Iterator[None]:
    with click.Context(cli, obj=Invocation()):
        yield


def shown_by(*arguments: object) -> list[str]:
    result = call(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout.splitlines()


def assert_whole(lines: list[str], cells: list[str]) -> None:
    """Every row's cells stand in one line, in their order."""
    row = r"\s+".join(re.escape(cell) for cell in cells)
    assert any(re.search(rf"(?<!\S){row}(?!\S)", line) for line in lines), (cells, lines)


@pytest.mark.usefixtures("stocked")
def test_the_history_has_its_numbers_whole() -> None:
    rows = answer_of(call("analytics", "history", "--market", "toy", "--json"))
    lines = shown_by("analytics", "history", "--market", "toy")
    assert max(map(len, lines)) <= 80
    for row in rows:
        cells = [row["usable_from"][:10], row["status"]]
        for name in ("sigma", "gamma", "epsilon", "book_slope", "resilience_rate"):
            value, low, high = (row["parameters"][name][end] for end in ("value", "ci_low", "ci_high"))
            reach = None if value is None else f"±{(high - low) / 2 / value:.0%}"
            cells.append("-" if value is None else number(value, digits=3) + reach.replace("±0%", ""))
        assert_whole(lines, cells)


@pytest.mark.usefixtures("stocked")
def test_the_calibration_has_its_numbers_whole() -> None:
    plain = answer_of(call("analytics", "calibrate", "--market", "toy", "--json"))
    lines = shown_by("analytics", "calibrate", "--market", "toy")
    for name, one in plain["parameters"].items():
        ends = [number(one[end]) for end in ("ci_low", "ci_high")]
        assert_whole(lines, [name, number(one["value"]), one["unit"], *ends, one["source"]])


@pytest.mark.usefixtures("stocked")
def test_the_simulation_has_its_numbers_whole() -> None:
    plain = answer_of(call(*SIMULATE, "--json"))
    lines = shown_by(*SIMULATE)
    for fill in plain["fills"]:
        age = number(float(fill["snapshot_age_s"]))
        cells = [str(fill["slice"]), fill["at"], number(fill["price"]), number(fill["quantity"]), str(fill["level"])]
        assert_whole(lines, [*cells, age])
    for part, value in plain["shortfall"].items():
        assert_whole(lines, [part, number(value)])


def test_the_orders_of_the_demo_have_their_numbers_whole() -> None:
    row = {"market_id": "demo_liquid", "strategy": "twap", "side": "buy", "shares": 1000.0, "filled": 1000.0}
    costs = {"full_refill": -12.3456, "no_refill": 1234567.5, "predicted_cost": 4.54898e-06, "cost_std": 0.000123456}
    with click_context():
        to = output.console()
        with to.capture() as captured:
            demo_report.print_orders(to, [{**row, **costs}], "2026-03-06")
    cells = ["demo_liquid", "buy 1000", "twap", "1000", "-12.35", "1,234,568", "4.549e-06", "0.0001235"]
    assert_whole(captured.get().splitlines(), cells)


def test_the_estimates_of_the_demo_have_their_intervals_whole() -> None:
    row = {"market_id": "demo_liquid", "parameter": "gamma", "unit": "P/share", "truth": 4.54898e-06, "source": "own"}
    found = {"estimate": 4.56789e-06, "ci_low": 4.41234e-06, "ci_high": 4.71234e-06, "holds_truth": True}
    with click_context():
        to = output.console()
        with to.capture() as captured:
            demo_report.print_estimates(to, [{**row, **found}], "2026-03-06")
    cells = ["demo_liquid", "gamma", "P/share", "4.549e-06", "4.568e-06", "4.412e-06", "4.712e-06", "+0.4%"]
    assert_whole(captured.get().splitlines(), cells)


def test_numbers_stay_whole_even_where_the_screen_is_too_narrow_for_them() -> None:
    numbers = [123456.0 + index for index in range(20)]
    with click_context():
        to = output.console()
        with to.capture() as captured:
            print_table(to, "wide", ["a long name", *map(str, range(20))], [["a long text that folds", *numbers]])
        assert to.width == 80
    assert_whole(captured.get().splitlines(), [f"{value:.0f}" for value in numbers])
