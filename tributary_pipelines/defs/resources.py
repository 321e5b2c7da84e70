"""What the assets are handed: the settings in force and the opened store.

The store is opened when a run needs it and closed with the run; nothing is opened when definitions load.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import dagster as dg
from pydantic import PrivateAttr

from tributary_pipelines.core.settings import Settings, load_settings
from tributary_pipelines.storage.base import MarketDataReader, MarketStore, ResultStore
from tributary_pipelines.storage.open import open_store


class SettingsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The settings of one file; without a file those in force ($TRIBUTARY_CONFIG, ./tributary.yaml, defaults)."""

    file: str | None = None

    def load(self) -> Settings:
        """Read the settings anew, so that a long-lived code server follows the file."""
        return load_settings(Path(self.file) if self.file else None)


class MarketStoreResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The market store that the settings name, opened for the length of one run."""

    settings: dg.ResourceDependency[SettingsResource]
    _store: MarketStore = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, _: dg.InitResourceContext) -> Iterator["MarketStoreResource"]:
        """Open the store, hand it out, close it."""
        with open_store(self.settings.load()) as opened:
            self._store = opened
            yield self

    @property
    def opened(self) -> MarketStore:
        """The opened store, as the flows take it."""
        return self._store

    @property
    def reader(self) -> MarketDataReader:
        """Its raw tables."""
        return self._store.reader

    @property
    def results(self) -> ResultStore:
        """Its result tables."""
        return self._store.results


@cache
def resources_for(settings_file: str | None) -> dict[str, object]:
    """Return the resources of a settings file; the same objects each time, so that component instances can share."""
    settings = SettingsResource(file=settings_file)
    return {"settings": settings, "store": MarketStoreResource(settings=settings)}
