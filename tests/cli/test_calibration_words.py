"""What people read of a calibration: sentences, refusals with what helps, borrowed and refused days, series."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.calling import answer_of, call
from tests.reports.calibrations import calibrated
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters
from tributary_pipelines.core.settings import load_settings
from tributary_pipelines.flows.calibration import store_parameters
from tributary_pipelines.storage.open import open_store

CALIBRATE = ("analytics", "calibrate", "--market", "toy")


def shown_by(*arguments: object, status: int = 0) -> list[str]:
    result = call(*arguments)
    assert result.exit_code == status, result.stderr
    return result.stdout.splitlines()


def put(found: Sequence[AlmgrenChrissParameters], **market: str) -> None:
    """Name the market and store calibrations of it, made by hand."""
    text = "\n".join(f"  {name}: '{value}'" for name, value in {"token_id": "yes", **market}.items())
    Path("markets.yaml").write_text(f"-\n{text}\n")
    answer_of(call("import", "markets", "markets.yaml", "--json"))
    with open_store(load_settings()) as store:
        store_parameters(store, found)


@pytest.mark.usefixtures("stocked")
def test_every_parameter_is_said_in_words_with_its_interval() -> None:
    lines = shown_by(*CALIBRATE)
    for name, words in {
        "sigma": "The price moves about",
        "gamma": "moves the price",
        "epsilon": "Crossing the spread costs",
        "book_slope": "at once pays on average",
        "resilience_rate": "Half of the displaced quotes is back after",
        "eta": "every 30 min pay",
    }.items():
        (line,) = [line for line in lines if line.startswith(f"{name}: ")]
        assert words in line
        assert ", between " in line or "known to the digits shown" in line
    assert any(line.startswith("flag book_shallow: the snapshots show less than 12 ticks") for line in lines)
    assert any(line.startswith("what helps: collect more levels") for line in lines)


@pytest.mark.usefixtures("stocked")
def test_a_refusal_says_what_it_means_and_what_helps() -> None:
    lines = shown_by(*CALIBRATE, "--lookback", "1", "--as-of", "2026-03-03", status=3)
    assert (
        "refused: there is data on 1 of the window's days; 3 are needed: the market's history is too short"
    ) in lines
    assert "not known for that reason: sigma, gamma, epsilon, book_slope, resilience_rate, eta" in lines
    assert "what helps: import more days, or give a longer --lookback" in lines


@pytest.mark.usefixtures("empty")
def test_history_shows_borrowed_and_refused_days() -> None:
    days = [
        calibrated(0, is_refused=True),
        calibrated(1, width=0.1, sources={"gamma": "pooled"}, status="pooled"),
        calibrated(2, width=0.1),
    ]
    put(days, market_id="toy")
    lines = [" ".join(line.split()) for line in shown_by("analytics", "history", "--market", "toy")]
    assert "2026-03-01 refused - - - - -" in lines
    assert "2026-03-02 pooled 0.03±10% 4e-06±10%* 0.0055±10% 1e-05±10% 1,000±10%" in lines
    assert "2026-03-03 ok 0.03±10% 4e-06±10% 0.0055±10% 1e-05±10% 1,000±10%" in lines
    assert "* borrowed from the venue's pool" in lines
    assert lines[lines.index("refused on 1 day, last on 2026-03-01:") + 1] == "too few trades: 12 of 200"


@pytest.mark.usefixtures("empty")
def test_history_without_anything_borrowed_or_refused_has_no_footnotes() -> None:
    put([calibrated(0, sources={"resilience_rate": "refused"})], market_id="toy")
    text = "\n".join(shown_by("analytics", "history", "--market", "toy"))
    assert "2026-03-01" in text
    assert "borrowed" not in text
    assert "refused" not in text
    assert "resilience" not in text
    # Without an interval there is nothing to put behind a value.
    assert "±" not in text


@pytest.mark.usefixtures("empty")
def test_a_series_is_answered_by_its_id(tmp_path: Path) -> None:
    found = calibrated(0, width=0.1, market_id="weekly", token_id="*")
    put([found], market_id="week-9", series_id="weekly")
    (row,) = answer_of(call("analytics", "history", "--market", "weekly", "--plot", tmp_path / "h.png", "--json"))
    assert (row["market_id"], row["token_id"]) == ("weekly", "*")
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")
    assert "weekly" in shown_by("analytics", "history", "--market", "weekly")[0]


@pytest.mark.usefixtures("empty")
def test_a_series_is_calibrated_by_its_id() -> None:
    for name, seed in (("week-9", 1), ("week-10", 2)):
        synthetic = ("synth", "--market", name, "--days", 3, "--trades-per-hour", 2, "--seed", seed)
        answer_of(call(*synthetic, "--start", "2026-03-01", "--json"))
    entries = [f"- {{market_id: {name}, token_id: {name}, series_id: weekly}}" for name in ("week-9", "week-10")]
    Path("markets.yaml").write_text("\n".join(entries))
    answer_of(call("import", "markets", "markets.yaml", "--json"))
    plain = answer_of(call("analytics", "calibrate", "--market", "weekly", "--json"))
    single = answer_of(call("analytics", "calibrate", "--market", "week-9", "--json"), status=3)
    assert (plain["market_id"], plain["token_id"]) == ("weekly", "*")
    # Together they have the trades that each alone lacks.
    assert plain["n_trades"] > 200 > single["n_trades"]
    assert "weekly: ok" in shown_by("analytics", "calibrate", "--market", "weekly")[0]
