"""Makes the pictures and the examples of docs/calibration.md, from synthetic markets with fixed seeds.

Run by ``make pictures`` alone. What a reader sees is what the package answers: the examples are printed by the
command itself, in a store of their own, and put between the page's markers. Any machine makes the same.
"""

import os
import re
import sys
import tempfile
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics, compute_impact_statistics
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters
from tributary_pipelines.analytics.optimization.parameters import CalibrationGates, calibrate
from tributary_pipelines.analytics.optimization.pooling import Pool, borrow_gamma, make_pool
from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticMarket, generate_tape
from tributary_pipelines.cli.main import cli
from tributary_pipelines.core.frames import Trades
from tributary_pipelines.core.models import Market
from tributary_pipelines.reports.history_plot import parameter_history
from tributary_pipelines.reports.plots import impact_curve, week_profile
from tributary_pipelines.reports.warning_words import FLAGS

DOCS = Path(__file__).parent
PAGE = DOCS / "calibration.md"
START = datetime(2025, 6, 1, tzinfo=UTC)
WINDOW_DAYS = 30
TICK = 0.001

#: The demo's markets, with its seeds: name, trades an hour, seed, further options.
DEMO = (
    ("demo_liquid", 20, 1, ()),
    ("demo_thin", 3, 2, ()),
    ("demo_coarse", 20, 5, ("--set", "tick=0.01")),
    ("demo_sparse", 0.2, 3, ()),
)
#: What the page shows: the name of its marker, and the command's options.
EXAMPLES = {
    "liquid": ("--market", "demo_liquid"),
    "sparse": ("--market", "demo_sparse"),
    "refused": ("--market", "demo_thin", "--lookback", "2"),
}
_WIDTH = 112


def market_named(name: str) -> Market:
    """Return a market of these pictures."""
    return Market(market_id=name, token_id=name, tick_size=TICK, fee_model="none", venue="synthetic")


def days_of(
    name: str, seed: int, n_days: int, *, first: int = 0, keep: float = 1.0, **options: float
) -> list[ImpactStatistics]:
    """Return the daily statistics of a synthetic market whose first day is ``first`` days after START.

    With ``keep`` below 1 only this share of the trades of nights (0 to 7 h UTC) and weekends is there.
    """
    rng = np.random.default_rng(seed)
    start = START + timedelta(days=first)
    spec = SyntheticMarket(**{"p0": 3.0, "levels": 15, "snapshot_s": 30.0, **options})
    tape = generate_tape(spec, start=start, n_days=n_days, rng=rng)
    trades = _without_quiet_hours(tape.trades, keep, rng)
    days = [(start + timedelta(days=n)).date() for n in range(n_days)]
    return [
        compute_impact_statistics(trades, tape.books, market_id=name, token_id=name, day=day, tick_size=TICK)
        for day in days
    ]


def _without_quiet_hours(trades: Trades, keep: float, rng: np.random.Generator) -> Trades:
    hours = trades.times // 3_600_000_000
    # Hour 0 of the epoch was a Thursday.
    is_quiet = (hours % 24 < 7) | ((hours // 24 + 3) % 7 >= 5)
    kept = ~is_quiet | (rng.random(len(trades)) < keep)
    return Trades(trades.times[kept], trades.prices[kept], trades.sizes[kept], trades.signs[kept])


def calibrated(days: list[ImpactStatistics], last: int) -> AlmgrenChrissParameters:
    """Calibrate the window that ends with the day ``last`` days after START."""
    end = START + timedelta(days=last + 1)
    start = end - timedelta(days=WINDOW_DAYS)
    inside = [day for day in days if start <= day.timestamp < end]
    market = market_named(days[0].market_id)
    return calibrate(inside, market=market, window_start=start, window_end=end, gates=CalibrationGates())


def pool_of_three() -> Pool:
    """Return the pool of three busier markets of the same venue, in which flow explains more or less of the moves."""
    lenders = ((11, 0.2), (12, 0.3), (13, 0.4))
    members = [calibrated(days_of(f"lender_{seed}", seed, 20, r2=r2), 19) for seed, r2 in lenders]
    pool = make_pool("synthetic", members)
    assert pool is not None
    return pool


def a_year() -> list[AlmgrenChrissParameters]:
    """Return a market's year: too thin at first, then busier, a week's outage, and last half the depth."""
    name, depth_of_busy = "a-market", 0.225 / 1.174542e-5
    days = days_of(name, 21, 45, trades_per_hour=0.25)
    days += days_of(name, 22, 120, first=45, trades_per_hour=3)
    days += days_of(name, 23, 193, first=172, trades_per_hour=3, sigma=0.045, depth=depth_of_busy / 2)
    pool = pool_of_three()
    return [borrow_gamma(calibrated(days, last), pool) for last in range(365)]


def draw(name: str, png: bytes) -> None:
    """Write one picture."""
    (DOCS / "images" / f"{name}.png").write_bytes(png)
    sys.stderr.write(f"wrote docs/images/{name}.png\n")


def answers() -> dict[str, str]:
    """Return what ``tributary analytics calibrate`` prints for each example, in a store of its own."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for name, rate, seed, options in DEMO:
                sys.stderr.write(f"making {name}\n")
                _call("synth", "--market", name, "--days", 35, "--trades-per-hour", rate, "--seed", seed, *options)
                if name != "demo_sparse":
                    _call("analytics", "calibrate", "--market", name)
            return {name: _call("analytics", "calibrate", *options) for name, options in EXAMPLES.items()}
        finally:
            os.chdir(here)


def _call(*arguments: object) -> str:
    texts = [str(argument) for argument in arguments]
    if texts[0] == "synth":
        texts += ["--start", START.date().isoformat()]
    # Settings named by the environment would be of another store.
    result = CliRunner(env={"TRIBUTARY_CONFIG": None}).invoke(cli, texts, prog_name="tributary")
    if result.exit_code not in (0, 3):
        raise RuntimeError(f"tributary {' '.join(texts)}: {result.stderr}")
    return result.stdout


def put_into_page(page: str, shown: dict[str, str]) -> str:
    """Return the page with each block between its markers."""
    for name, block in shown.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, n_places = pattern.subn(lambda found, block=block: f"{found[1]}\n{block}\n\n{found[2]}", page)
        if n_places != 1:
            raise RuntimeError(f"the page has {n_places} places for {name!r}; it needs one")
    return page


def example_block(name: str, text: str) -> str:
    """Return a command and what it printed, as a code block."""
    lines = [f"$ tributary analytics calibrate {' '.join(EXAMPLES[name])}", *text.rstrip().splitlines()]
    return "\n".join(_indented(line) for line in lines)


def flags_table() -> str:
    """Return every flag with its meaning and what helps, as a table."""
    rows = [f"| `{name}` | {words.meaning} | {words.help or '-'} |" for name, words in FLAGS.items()]
    return "\n".join(["| flag | meaning | what helps |", "|---|---|---|", *rows])


def _indented(line: str) -> str:
    """Return a line as part of a code block, folded where it is long."""
    folded = textwrap.wrap(line.rstrip(), _WIDTH, subsequent_indent="    ") if len(line) > _WIDTH else [line.rstrip()]
    return "\n".join(f"    {part}".rstrip() for part in folded)


def main() -> None:
    """Make everything."""
    draw("calibration_impact_curve", impact_curve(calibrated(days_of("demo_market", 1, 30, levels=30), 29)))
    busy = days_of("office-hours", 5, 56, trades_per_hour=20, keep=0.25, snapshot_s=60.0)
    end = START + timedelta(days=56)
    window = {"window_start": START, "window_end": end, "gates": CalibrationGates()}
    draw("calibration_week_profile", week_profile(calibrate(busy, market=market_named("office-hours"), **window)))
    draw("calibration_history", parameter_history(a_year()))
    blocks = {name: example_block(name, text) for name, text in answers().items()} | {"flags": flags_table()}
    PAGE.write_text(put_into_page(PAGE.read_text(encoding="utf-8"), blocks), encoding="utf-8")
    sys.stderr.write("wrote the examples of docs/calibration.md\n")


if __name__ == "__main__":
    main()
