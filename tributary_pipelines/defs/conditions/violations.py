"""What a check found, in words, and how the cells of a result row are read."""

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

#: Sums of doubles over a day differ by rounding alone.
SUM_TOLERANCE = 1e-9

#: One result row by column name.
Row = Mapping[Hashable, Any]


@dataclass(slots=True)
class Violations:
    """What was found, in words."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def are_none(self) -> bool:
        """Whether every condition holds."""
        return not self.errors and not self.warnings

    def expect(self, holds: bool, message: str) -> None:
        """Record an error unless the condition holds."""
        if not holds:
            self.errors.append(message)

    def prefer(self, holds: bool, message: str) -> None:
        """Record a warning unless the condition holds."""
        if not holds:
            self.warnings.append(message)


def as_list(listed: object) -> Sequence[str]:
    """Return the texts of a result column that holds a JSON list."""
    if isinstance(listed, str):
        return [str(item) for item in json.loads(listed)]
    return [str(item) for item in listed] if isinstance(listed, list | tuple) else []


def as_number(value: Any) -> float | None:
    """Return the number of a result cell; None for null, NaN and NaT."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    number = float(value)
    return None if np.isnan(number) else number
