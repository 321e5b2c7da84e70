"""One market-day of impact statistics: 500 trades and 8,640 ten-level snapshots, once read; target <= 60 ms."""

from datetime import UTC, datetime
from time import perf_counter

import numpy as np

from tributary_pipelines.analytics.calibration.impact_statistics import compute_impact_statistics
from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticMarket, generate_tape

REPEATS = 20


def main() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    market = SyntheticMarket(trades_per_hour=500 / 24)
    tape = generate_tape(market, start=start, n_days=1, rng=np.random.default_rng(1))
    times = []
    for _ in range(REPEATS):
        begun = perf_counter()
        compute_impact_statistics(
            tape.trades, tape.books, market_id="m", token_id="t", day=start.date(), tick_size=market.tick
        )
        times.append(1e3 * (perf_counter() - begun))
    print(
        f"impact statistics of {len(tape.trades)} trades and {len(tape.books)} snapshots: "
        f"median {np.median(times):.1f} ms, worst {max(times):.1f} ms (target 60 ms)"
    )


if __name__ == "__main__":
    main()
