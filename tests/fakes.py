"""Small real stand-ins for what is slow or far away."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from tributary_pipelines.core.frames import Frame
from tributary_pipelines.core.models import Market


class MemoryStore:
    """The part of a market store that an import needs, in dictionaries: known markets, and upserts on a frame's key.

    It is its own reader and writer; ``rows`` returns what it holds in the order it first came.
    """

    def __init__(self, markets: Iterable[Market] = ()) -> None:
        self.reader = self.writer = self
        self.known = list(markets)
        self._tables: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {}

    def markets(self) -> list[Market]:
        return self.known

    def create_tables(self) -> list[Any]:
        return []

    def write(self, frame: Frame, rows: pd.DataFrame) -> int:
        assert list(rows.columns) == list(frame.column_names)
        table = self._tables.setdefault(frame.name, {})
        n_changed = 0
        for row in rows.to_dict("records"):
            plain = {name: _plain(value) for name, value in row.items()}
            key = tuple(plain[name] for name in frame.key)
            assert None not in key
            n_changed += table.get(key) != plain
            table[key] = plain
        return n_changed

    def rows(self, frame: Frame) -> list[dict[str, Any]]:
        return list(self._tables.get(frame.name, {}).values())


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return None if pd.isna(value) else value
