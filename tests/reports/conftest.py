"""Figures kept as they are before they become pixels."""

from collections.abc import Iterator

import pytest
from matplotlib.figure import Figure

from tributary_pipelines.reports import figures, history_plot, plots


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """The figures that were drawn, at most one a test."""
    kept: list[Figure] = []

    def keep(figure: Figure) -> bytes:
        kept.append(figure)
        return figures.png(figure)

    for module in (plots, history_plot):
        monkeypatch.setattr(module, "png", keep)
    yield kept
    assert len(kept) <= 1
