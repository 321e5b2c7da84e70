"""MarketPipelines: one YAML block becomes the assets, checks, jobs, schedule and sensor of its instruments.

The packaged instance (markets/defs.yaml) takes the instruments that the settings name. A dg project of one's own may
hold further instances with instruments written inline; each needs a ``name``, and all but one ``tables: false``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import dagster as dg

from tributary_pipelines.core.settings import Instrument, InstrumentsFile, Settings, load_instruments, load_settings
from tributary_pipelines.defs.assets.bars import build_vwap_bars
from tributary_pipelines.defs.assets.calibration import build_impact_statistics, build_parameters
from tributary_pipelines.defs.assets.market_data import build_market_data
from tributary_pipelines.defs.assets.planning import build_execution_plans
from tributary_pipelines.defs.assets.simulation import build_execution_simulations
from tributary_pipelines.defs.checks import build_table_checks
from tributary_pipelines.defs.jobs import build_observation, build_recalibration
from tributary_pipelines.defs.resources import resources_for
from tributary_pipelines.defs.schedules import build_daily_recalibration, build_hourly_observation
from tributary_pipelines.defs.sensors import build_parameters_sensor

_BUILDERS = (
    build_vwap_bars,
    build_impact_statistics,
    build_parameters,
    build_execution_plans,
    build_execution_simulations,
)


class MarketPipelinesScaffolder(dg.Scaffolder):
    """Starts a new group of instruments: ``dg scaffold defs <component> <group>``."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        """Write a defs.yaml with one instrument to be replaced."""
        group = "".join(letter if letter.isalnum() else "_" for letter in request.target_path.name.lower())
        instrument = {"name": f"{group}_example", "market_id": "the venue's market id"}
        dg.scaffold_component(request, {"name": group, "tables": False, "instruments": [instrument]})


@dg.scaffold_with(MarketPipelinesScaffolder)
class MarketPipelines(dg.Component, dg.Model, dg.Resolvable):
    """From market data to plans and simulations, for a group of instruments.

    Parameters
    ----------
    instruments
        Instruments, each with a name and a market_id or series_id; those of the settings when absent.
    settings
        Settings file, relative to the defs.yaml; those in force ($TRIBUTARY_CONFIG, ./tributary.yaml) when absent.
    name
        Ending of the names of steps, jobs, schedule and sensor; needed for a second instance in one project.
    tables
        Whether this instance defines the raw tables; false in all instances but one.
    """

    instruments: Annotated[
        list[Any] | None,
        dg.Resolver(lambda _, given: given, model_field_type=list[Instrument], inject_before_resolve=False),
    ] = None
    settings: str | None = None
    name: str = ""
    tables: bool = True

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the definitions of this instance."""
        file = None if self.settings is None else str((context.path / self.settings).resolve())
        settings = load_settings(Path(file) if file else None)
        return build_definitions(settings, self._instruments(settings), file=file, name=self.name, tables=self.tables)

    def _instruments(self, settings: Settings) -> Sequence[Instrument]:
        if self.instruments is None:
            return load_instruments(settings)
        return InstrumentsFile(instruments=tuple(self.instruments)).instruments


def build_definitions(
    settings: Settings,
    instruments: Sequence[Instrument],
    *,
    file: str | None = None,
    name: str = "",
    tables: bool = True,
) -> dg.Definitions:
    """Return the definitions for these instruments.

    Parameters
    ----------
    file
        Settings file that runs read; those in force when None.
    """
    suffix = f"_{name}" if name else ""
    parts = [_of_tables(settings, instruments)] if tables else []
    if instruments:
        parts.append(_of_instruments(settings, instruments, suffix))
    shared = dg.Definitions(resources=resources_for(file), executor=dg.in_process_executor)
    return dg.Definitions.merge(shared, *parts)


def _of_tables(settings: Settings, instruments: Sequence[Instrument]) -> dg.Definitions:
    observation = build_observation()
    return dg.Definitions(
        assets=[build_market_data(instruments, settings.storage.kind)],
        asset_checks=[build_table_checks()],
        jobs=[observation],
        schedules=[build_hourly_observation(observation, settings)],
    )


def _of_instruments(settings: Settings, instruments: Sequence[Instrument], suffix: str) -> dg.Definitions:
    daily = build_recalibration(instruments, suffix)
    return dg.Definitions(
        assets=[build(instruments, settings, suffix) for build in _BUILDERS],
        jobs=[daily],
        schedules=[build_daily_recalibration(daily, settings, suffix)],
        sensors=[build_parameters_sensor(instruments, suffix, is_running=settings.analytics.enabled)],
    )
