"""What an import was asked, and what it answers; the counts always add up."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from tributary_pipelines.core.frames import Int64Array1D
from tributary_pipelines.core.units import from_us, iso_z
from tributary_pipelines.storage.files.columns import TimeUnit


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How the columns of the files are to be understood.

    Parameters
    ----------
    market, token
        For rows without one.
    mapping
        Their column names to ours (``--map theirs=ours``).
    preset
        A known layout (storage/files/presets.py).
    time_unit
        Of integer times: s, ms, us or ns; None takes the preset's.
    chunk_bytes
        About how much of a file is held at once; changes nothing but memory and speed.
    """

    market: str | None = None
    token: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    preset: str = "tributary"
    time_unit: TimeUnit | None = None
    chunk_bytes: int = 8 << 20


@dataclass(frozen=True, slots=True)
class QuarantineReason:
    """A rule that rows broke, how many did, and where the first is: file and line or row number."""

    reason: str
    count: int
    first_row: str


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """The answer of an import: rows_read = rows_stored + rows_duplicate + rows_quarantined.

    ``first_at`` and ``last_at`` are the first and last time among the rows that are in the store now; None when no row
    is, and for market entries.
    """

    rows_read: int
    rows_stored: int
    rows_duplicate: int
    rows_quarantined: int
    quarantine: tuple[QuarantineReason, ...]
    first_at: datetime | None
    last_at: datetime | None

    @property
    def is_all_quarantined(self) -> bool:
        """Whether rows were read and none of them could be kept; the command line then exits 1."""
        return 0 < self.rows_read == self.rows_quarantined

    def to_answer(self) -> dict[str, Any]:
        """Return the answer in the keys of cli.md "Files"."""
        return asdict(self) | {
            "quarantine": [asdict(entry) for entry in self.quarantine],
            "first_at": None if self.first_at is None else iso_z(self.first_at),
            "last_at": None if self.last_at is None else iso_z(self.last_at),
        }


class Tally:
    """The counts of an import while it runs."""

    def __init__(self) -> None:
        self.rows_read = 0
        self._stored = 0
        self._reasons: dict[str, tuple[int, str]] = {}
        self._times: tuple[int, int] | None = None

    def add_kept(self, n_rows: int, n_stored: int) -> None:
        """Count kept rows and how many of them changed the store."""
        self.rows_read += n_rows
        self._stored += n_stored

    def add_times(self, times: Int64Array1D) -> None:
        """Take the times of kept rows into account."""
        if len(times):
            low, high = int(np.min(times)), int(np.max(times))
            first, last = self._times or (low, high)
            self._times = (min(first, low), max(last, high))

    def add_quarantined(self, reason: str, where: str) -> None:
        """Count one quarantined row."""
        count, first_row = self._reasons.get(reason, (0, where))
        self._reasons[reason] = (count + 1, first_row)
        self.rows_read += 1

    def summary(self) -> ImportSummary:
        """Return the counts as the answer."""
        n_quarantined = sum(count for count, _ in self._reasons.values())
        return ImportSummary(
            rows_read=self.rows_read,
            rows_stored=self._stored,
            rows_duplicate=self.rows_read - n_quarantined - self._stored,
            rows_quarantined=n_quarantined,
            quarantine=tuple(QuarantineReason(reason, n, where) for reason, (n, where) in self._reasons.items()),
            first_at=from_us(self._times[0]) if self._times else None,
            last_at=from_us(self._times[1]) if self._times else None,
        )
