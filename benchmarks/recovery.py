"""Recovery of known parameters: every scenario of recovery_scenarios.py, many times, beside the reference figures.

    python -m benchmarks.recovery [--replications 100] [--workers 2] [--scenario NAME]...
                                  [--results FILE.jsonl] [--write docs/recovery.md]

Replications run in parallel processes and are seeded by scenario and number, so that any machine gives the same
numbers. With ``--results`` each is appended to a file as it ends; run again, the command does only those that are
missing or were made by other code. ``python -m benchmarks recovery`` runs a few of two scenarios.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from benchmarks._recovery_replication import code_fingerprint, replicate
from benchmarks._recovery_report import render_page, render_tables
from benchmarks.recovery_scenarios import BY_NAME, SCENARIOS

Task = tuple[str, int]
SHORT_SCENARIOS, SHORT_REPLICATIONS = ("base", "week"), 4


def main(arguments: list[str] | None = None) -> None:
    """Run the study; without arguments, the short version that ``make bench`` runs."""
    short = [part for name in SHORT_SCENARIOS for part in ("--scenario", name)]
    options = _read([*short, "--replications", str(SHORT_REPLICATIONS)] if arguments is None else arguments)
    code = code_fingerprint()
    names = options.scenario or [scenario.name for scenario in SCENARIOS]
    # Replication by replication: whatever ends early has run every scenario about equally often.
    tasks = [(name, n) for n in range(options.replications) for name in names]
    done = _stored(options.results, code)
    results = [done[task] for task in tasks if task in done]
    missing = [task for task in tasks if task not in done]
    with _appending(options.results) as file:
        for result in _progress(_run(missing, options.workers), missing):
            results.append(result)
            if file is not None:
                print(json.dumps({"code": code} | result), file=file, flush=True)
    if options.write is None:
        print(render_tables(results))
    else:
        chosen = "".join(f" --scenario {name}" for name in options.scenario or [])
        command = (
            f"python -m benchmarks.recovery --replications {options.replications}{chosen} --write docs/recovery.md"
        )
        options.write.write_text(render_page(results, command, code), encoding="utf-8")


def _read(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--replications", type=int, default=100, help="of each scenario")
    parser.add_argument("--workers", type=int, default=2, help="processes; one needs about 0.5 GB")
    parser.add_argument("--scenario", action="append", choices=sorted(BY_NAME), metavar="NAME", help="only this one")
    parser.add_argument("--results", type=Path, help="JSON lines to append to and to resume from")
    parser.add_argument("--write", type=Path, help="write the page here in place of printing the tables")
    options = parser.parse_args(arguments)
    if options.replications < 2 or options.workers < 1:
        parser.error("--replications must be at least 2 and --workers at least 1")
    return options


def _stored(path: Path | None, code: str) -> dict[Task, dict[str, Any]]:
    """Return the replications of this code that the file holds."""
    if path is None or not path.exists():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            result = json.loads(line)
        except ValueError:
            continue  # the last line of a run that was killed while writing
        if result.pop("code") == code:
            found[result["scenario"], result["replication"]] = result
    return found


@contextmanager
def _appending(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    written = path.read_text(encoding="utf-8") if path.exists() else ""
    with path.open("a", encoding="utf-8") as file:
        if written and not written.endswith("\n"):
            file.write("\n")
        yield file


def _run(tasks: list[Task], n_workers: int) -> Iterator[dict[str, Any]]:
    """Yield results as they come."""
    # Workers are processes already: threads of the linear algebra inside each would only be in each other's way.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with ProcessPoolExecutor(n_workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(replicate, *task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _progress(results: Iterable[dict[str, Any]], tasks: list[Task]) -> Iterator[dict[str, Any]]:
    """Pass results on and write the remaining time, by simulated days, to standard error."""
    total = sum(BY_NAME[name].n_days for name, _ in tasks)
    begun, told, n_days = time.monotonic(), 0.0, 0
    for n, result in enumerate(results, start=1):
        yield result
        n_days += BY_NAME[result["scenario"]].n_days
        now = time.monotonic()
        if now - told < 10 and n < len(tasks):
            continue
        told = now
        left_s = (now - begun) * (total - n_days) / n_days
        print(f"{n} of {len(tasks)} replications, about {left_s / 60:.1f} min left", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
