"""The recovery study's own arithmetic: figures, marks against the reference, and what a results file spares."""

import json
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from benchmarks import recovery
from benchmarks._recovery_figures import Figure, is_worse, measure, reference_of
from benchmarks._recovery_replication import PARAMETERS, code_fingerprint
from benchmarks._recovery_report import render_page, render_tables
from benchmarks.recovery_scenarios import BY_NAME, REFERENCE_SCENARIOS

FLAGS = (["clock_lead"], ["clock_lead", "bucket_sensitive"], [], ["thin"])


def result_of(replication: int, ratio: float | None, half_width: float | None = 0.1, scenario: str = "base") -> dict:
    """A replication in which every estimate is ``ratio`` times a truth of 2."""
    value = None if ratio is None else 2 * ratio
    low, high = (None, None) if None in (value, half_width) else (value - 2 * half_width, value + 2 * half_width)
    estimate = {"value": value, "low": low, "high": high, "truth": 2.0}
    return {
        "scenario": scenario,
        "replication": replication,
        "status": "refused" if value is None else "ok",
        "reasons": [],
        "flags": ["thin"] if value is None else [],
        "estimates": {name: dict(estimate) for name in PARAMETERS},
    }


def test_figures_of_four_replications_by_hand() -> None:
    found = measure([result_of(k, ratio) for k, ratio in enumerate([1.2, 0.9, 1.0, None])], "sigma")
    assert (found.n, found.n_refused) == (4, 1)
    assert found.bias.value == pytest.approx(10 / 3)
    assert found.bias.error == pytest.approx(np.std([20, -10, 0], ddof=1) / sqrt(3))
    assert found.rmse.value == pytest.approx(sqrt(500 / 3))
    assert found.p95.value == pytest.approx(19)
    assert found.coverage.value == pytest.approx(2 / 3)


def test_no_intervals_have_no_coverage_and_one_estimate_no_error() -> None:
    assert measure([result_of(0, 1.0, None), result_of(1, 1.1, None)], "gamma").coverage is None
    assert measure([result_of(0, 1.0), result_of(1, None)], "gamma").bias is None


def test_reference_figures_carry_their_own_error() -> None:
    figures = reference_of(BY_NAME["base"], "sigma")
    assert figures["rmse"].value == 2.3
    assert figures["rmse"].error == pytest.approx(np.hypot(2.3 / sqrt(300), 0.1 / sqrt(12)))
    assert figures["coverage"].value == 0.98
    assert reference_of(BY_NAME["base"], "epsilon") == {}
    assert "coverage" not in reference_of(BY_NAME["base"], "resilience_rate")
    assert all(reference_of(scenario, "transient_eta") for scenario in REFERENCE_SCENARIOS)


@pytest.mark.parametrize(
    ("name", "ours", "reference", "expected"),
    [
        ("bias", -3.0, 1.0, True),
        ("bias", -1.5, 1.0, False),
        ("rmse", 6.0, 5.0, False),
        ("rmse", 8.0, 5.0, True),
        ("coverage", 0.5, 0.95, False),
        ("coverage", -2.0, 0.95, True),
        ("coverage", 1.0, 0.95, False),
    ],
)
def test_worse_means_by_more_than_both_errors_explain(name, ours, reference, expected) -> None:
    assert is_worse(name, Figure(ours, 0.5), Figure(reference, 0.5)) is expected


def test_clearly_worse_figures_are_marked_and_named() -> None:
    poor = render_tables([result_of(k, 1.3 + 0.001 * k) for k in range(20)])
    assert "**30.9 ± " in poor
    assert "bias of sigma in base" in poor
    assert "**sigma in base (0.00 ± 0.06)!**" in poor
    good = render_tables([result_of(k, 1 + 0.002 * (k - 9.5)) for k in range(20)])
    assert "!**" not in good
    assert "Worse than the reference by more than Monte-Carlo error: nothing." in good
    assert ": sigma in base (1.00 ± 0.06), gamma in base (1.00 ± 0.06)" in good


def test_flags_and_refusals_are_counted_beyond_the_reference() -> None:
    tables = render_tables([result_of(k, None if k else 1.0, scenario="outage") for k in range(4)])
    assert "| outage | nothing collected for 6 h | 0.75 |  |  | thin 0.75 |" in tables


def test_share_that_was_warned_counts_any_of_the_warnings() -> None:
    results = [result_of(k, 1.0, scenario="chasing") | {"flags": flags} for k, flags in enumerate(FLAGS)]
    assert "| clock_lead or bucket_sensitive | 0.50 | clock_lead 0.50" in render_tables(results)


def test_page_says_how_it_was_made() -> None:
    page = render_page([result_of(k, 1.0) for k in range(2)], "python -m benchmarks.recovery", "abc")
    assert "    python -m benchmarks.recovery\n" in page
    assert "sources `abc`" in page


def test_stored_replications_of_this_code_are_not_run_again(tmp_path: Path, monkeypatch, capsys) -> None:
    path = tmp_path / "results.jsonl"
    code = code_fingerprint()
    stored = [{"code": code, **result_of(0, 1.0)}, {"code": "older", **result_of(1, 1.0)}]
    path.write_text("\n".join(json.dumps(one) for one in stored) + '\n{"code": "to', encoding="utf-8")
    ran = []

    def run(tasks, _n_workers):
        ran.extend(tasks)
        yield from (result_of(k, 1.01, scenario=name) for name, k in tasks)

    monkeypatch.setattr(recovery, "_run", run)
    arguments = ["--replications", "3", "--scenario", "base", "--results", str(path)]
    recovery.main(arguments)
    assert ran == [("base", 1), ("base", 2)]
    first = capsys.readouterr().out
    recovery.main(arguments)
    assert len(ran) == 2
    assert capsys.readouterr().out == first
    assert "| base: 30 d, 20 trades/h | 3 | 0 |" in first


def test_page_is_written_where_asked(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(recovery, "_run", lambda tasks, n: iter([result_of(k, 1.0, scenario=s) for s, k in tasks]))
    recovery.main(["--replications", "2", "--scenario", "base", "--write", str(tmp_path / "page.md")])
    assert "--replications 2 --scenario base" in (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "2 of 2 replications" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--replications", "1"], ["--workers", "0"], ["--scenario", "none"]])
def test_options_that_make_no_study_are_refused(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        recovery.main(arguments)
    assert "error: " in capsys.readouterr().err
