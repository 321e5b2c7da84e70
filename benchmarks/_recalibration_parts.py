"""Where the seconds of a run go: the package's functions timed from outside, every second counted once.

What runs inside a timed function counts for the inner one. Inside a check everything counts for the check, by the name
of what it asked; Dagster's own storage counts as a whole, whatever it calls.
"""

import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from unittest.mock import patch

#: Parts whose inside is not divided further.
_WHOLE = ("Dagster",)


@dataclass(slots=True)
class Parts:
    """Seconds, of them seconds of this process's own work, and calls by part; ``rest`` is what no part covers."""

    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    _stack: list[str] = field(default_factory=list)
    _since: tuple[float, float] = (0.0, 0.0)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Count the time of the block for a part."""
        outer = self._stack[-1] if self._stack else ""
        if outer.startswith(_WHOLE):
            yield
            return
        if outer.startswith("check") and not name.startswith("check"):
            name = f"check: {name}"
        self._turn()
        self._stack.append(name)
        self.calls[name] = self.calls.get(name, 0) + 1
        try:
            yield
        finally:
            self._turn()
            self._stack.pop()

    def _turn(self) -> None:
        now = (time.perf_counter(), time.process_time())
        if self._stack:
            for total, ended, started in zip((self.seconds, self.cpu_seconds), now, self._since, strict=True):
                total[self._stack[-1]] = total.get(self._stack[-1], 0.0) + ended - started
        self._since = now

    def timed(self, function: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        """Return a function that counts its own time; ``name`` is told its arguments."""

        @wraps(function)
        def call(*given: Any, **named: Any) -> Any:
            with self.of(name(*given)):
                return function(*given, **named)

        return call


@contextmanager
def measured() -> Iterator[Parts]:
    """Time the package's functions while the block runs."""
    parts = Parts()
    with ExitStack() as patches:
        for owner, attribute, name in _targets():
            held = inspect.getattr_static(owner, attribute)
            plain = held.__func__ if isinstance(held, classmethod) else held
            timed: Any = parts.timed(plain, name if callable(name) else lambda *_, name=name: name)
            patches.enter_context(patch.object(owner, attribute, classmethod(timed) if plain is not held else timed))
        with parts.of("rest"):
            yield parts


def _targets() -> Iterator[tuple[Any, str, Any]]:
    from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics
    from tributary_pipelines.defs import checks, steps
    from tributary_pipelines.flows import calibration, pooling, statistics
    from tributary_pipelines.storage.questdb.reader import QuestDBReader
    from tributary_pipelines.storage.questdb.results import QuestDBResults

    yield QuestDBReader, "markets", "read the list of markets"
    yield QuestDBReader, "trades", "read raw trades"
    yield QuestDBReader, "order_books", "read raw order books"
    yield QuestDBReader, "trades_of", "read raw trades"
    yield QuestDBReader, "order_books_of", "read raw order books"
    yield QuestDBReader, "fingerprints_of", "fingerprints of raw data"
    yield QuestDBResults, "read_of", lambda _, frame, *__: f"read {frame.name}"
    yield QuestDBResults, "read", lambda _, frame, *__: f"read {frame.name}"
    yield QuestDBResults, "replace_checked", lambda _, frame, *__: f"write {frame.name}"
    yield statistics, "compute_impact_statistics", "compute daily statistics"
    yield ImpactStatistics, "from_row", "rows into statistics"
    yield calibration, "calibrate", "combine and calibrate"
    yield pooling.VenuePools, "lend", "borrow from pools"
    yield steps.StageRun, "describe", "metadata"
    yield checks, "examine", "check"
    yield from _of_dagster()


def _of_dagster() -> Iterator[tuple[Any, str, str]]:
    from dagster import DagsterInstance
    from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage

    yield DagsterInstance, "handle_new_event", "Dagster: events into PostgreSQL"
    for storage in (PostgresEventLogStorage, PostgresRunStorage):
        for name in dir(storage):
            if name.startswith(("get_", "fetch_")) and inspect.isfunction(inspect.getattr_static(storage, name)):
                yield storage, name, "Dagster: questions to PostgreSQL"
