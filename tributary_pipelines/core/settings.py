"""The one typed tree of settings, and the only place that reads the environment or a settings file.

YAML with ``${VAR}`` (required) and ``${VAR:default}``; an unknown key is an error that names the nearest known one;
nothing is read at import. Keys of parts that come later (``collection``) are accepted and checked. Passwords are
``SecretStr``: they never appear in a repr, a log or an error.
"""

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic import ValidationError as PydanticError

from tributary_pipelines.core.errors import ConfigurationError
from tributary_pipelines.core.fields import (
    AllDifferent,
    BarWidth,
    Duration,
    Fraction,
    LastingDuration,
    Port,
    Positive,
)
from tributary_pipelines.core.units import SECONDS_PER_DAY
from tributary_pipelines.core.violations import explain_violations
from tributary_pipelines.core.yaml_text import parse_yaml


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


M = TypeVar("M", bound=_Section)


class StorageSettings(_Section):
    """Where market data and results live; ``kind`` chooses the store, the other keys belong to one kind each."""

    kind: Literal["duckdb", "questdb"] = "duckdb"
    path: Path = Path(".tributary/market.duckdb")
    lock_timeout: Duration = 30.0
    host: str = "127.0.0.1"
    pg_port: Port = 8812
    http_port: Port = 9000
    database: str = "qdb"
    user: str | None = None
    password: SecretStr | None = None
    http_user: str | None = None
    http_password: SecretStr | None = None
    wal_timeout: Duration = 30.0
    connect_timeout: Duration = 5.0

    @model_validator(mode="after")
    def _questdb_needs_credentials(self) -> "StorageSettings":
        if self.kind == "questdb" and (self.user is None or self.password is None):
            raise ValueError("kind questdb needs user and password (the read-only user); there are no defaults")
        if (self.http_user is None) != (self.http_password is None):
            raise ValueError("http_user and http_password must be given together")
        return self


class LoggingSettings(_Section):
    """How much is logged to stderr and in which form; ``rich`` falls back to plain off a terminal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["rich", "plain", "json"] = "rich"


class CalibrationSettings(_Section):
    """Window, gates and grids of the calibration (science: Almgren-Chriss parameters from daily statistics)."""

    default_lookback_days: Annotated[int, Field(ge=1, le=3_650)] = 30
    min_trades_required: Annotated[int, Field(ge=1)] = 200
    recalibrate_interval_hours: Annotated[int, Field(ge=1)] = 24
    min_days: Annotated[int, Field(ge=1)] = 3
    min_coverage: Fraction = 0.8
    eta_interval: LastingDuration = 1_800.0
    stamp_guard: Duration = 10.0
    weight_half_life_days: Positive | None = None


class SimulationSettings(_Section):
    """How orders are replayed on recorded books."""

    default_fill_model: Literal["orderbook", "midpoint", "spread"] = "orderbook"
    slippage_multiplier: Positive = 1.0
    staleness_limit: LastingDuration = 30.0
    latency: Duration = 0.0


class StandardOrder(_Section):
    """A parent order that is planned and replayed every day; ``start_s`` is its release after 00:00 UTC."""

    side: Literal["buy", "sell"]
    shares: Positive
    horizon: LastingDuration
    slices: Annotated[int, Field(ge=1, le=10_000)]
    start: Duration = 43_200.0

    @model_validator(mode="after")
    def _must_fit_the_day(self) -> "StandardOrder":
        if self.start + self.horizon > SECONDS_PER_DAY:
            raise ValueError("start + horizon must not pass the end of the UTC day (a replay covers one day)")
        return self


Orders = Annotated[tuple[StandardOrder, ...], AllDifferent]


class PlanningSettings(_Section):
    """The standard orders, the strategies they are planned with and the urgency kappa T of those that have one."""

    strategies: Annotated[tuple[Literal["twap", "ac"], ...], AllDifferent] = ("twap", "ac")
    urgency: Annotated[float, Field(ge=0, le=50)] = 1.0
    orders: Orders = (StandardOrder(side="buy", shares=1_000, horizon=21_600, slices=12),)


class AnalyticsSettings(_Section):
    """Everything between market data and results."""

    enabled: bool = True
    bar_width: BarWidth = "1m"
    calibration: CalibrationSettings = CalibrationSettings()
    simulation: SimulationSettings = SimulationSettings()
    planning: PlanningSettings = PlanningSettings()


class ScheduleSettings(_Section):
    """When the daily recalibration starts (UTC) and which day is the first partition."""

    at: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "01:15"
    first_day: date = date(2024, 1, 1)


class CollectionSettings(_Section):
    """The collection layer's sections, kept as they are written; it checks its own keys when it starts."""

    spool: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    venues: dict[str, Any] = {}
    markets: list[dict[str, Any]] = []
    series: list[dict[str, Any]] = []


class Instrument(_Section):
    """What gets assets of its own: one market, or a series of short-lived markets calibrated together.

    ``name`` is the first part of its asset keys. ``token_id`` defaults to the market's first token.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    market_id: str | None = None
    series_id: str | None = None
    token_id: str | None = None
    orders: Orders | None = None

    @model_validator(mode="after")
    def _one_of_market_and_series(self) -> "Instrument":
        if (self.market_id is None) == (self.series_id is None):
            raise ValueError(f"instrument {self.name!r} needs exactly one of market_id and series_id")
        return self


class InstrumentsFile(_Section):
    """The file that ``instruments:`` names."""

    instruments: tuple[Instrument, ...] = ()

    @model_validator(mode="after")
    def _names_are_unique(self) -> "InstrumentsFile":
        names = [instrument.name for instrument in self.instruments]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"instrument names must be unique; given twice: {', '.join(twice)}")
        return self


class Settings(_Section):
    """The whole tree; ``folder`` is the directory that relative paths start from."""

    folder: Path = Path()
    storage: StorageSettings = StorageSettings()
    logging: LoggingSettings = LoggingSettings()
    analytics: AnalyticsSettings = AnalyticsSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    collection: CollectionSettings = CollectionSettings()
    instruments: Path | None = None

    def resolve(self, path: Path) -> Path:
        """Return a path of the settings as an absolute one."""
        return path if path.is_absolute() else (self.folder / path).resolve()


def find_settings_file(explicit: Path | None, environment: Mapping[str, str] | None = None) -> Path | None:
    """Return the settings file in force: the explicit one, $TRIBUTARY_CONFIG, ./tributary.yaml, or none.

    Raises
    ------
    ConfigurationError
        A file was named, by option or environment, and does not exist.
    """
    environment = os.environ if environment is None else environment
    named = explicit or (Path(environment["TRIBUTARY_CONFIG"]) if environment.get("TRIBUTARY_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            raise ConfigurationError(f"settings file {named} does not exist; write one with 'tributary init'")
        return named
    default = Path("tributary.yaml")
    return default if default.is_file() else None


def load_settings(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Load the settings in force (see ``find_settings_file``), or the built-in defaults when there is no file.

    Raises
    ------
    ConfigurationError
        The file cannot be read, a variable is not set, or keys or values break a rule; every violation is listed.
    """
    environment = os.environ if environment is None else environment
    found = find_settings_file(path, environment)
    if found is None:
        return Settings(folder=Path.cwd())
    raw = _read_yaml(found, environment)
    if "folder" in raw:
        raise ConfigurationError(f"{found}: unknown key 'folder'; the folder of the file is used")
    return _validate(Settings, {**raw, "folder": found.parent.resolve()}, found)


def child_environment(**variables: str) -> dict[str, str]:
    """Return the environment of this process with some variables set, for a process that is to be started."""
    return {**os.environ, **variables}


def load_instruments(settings: Settings, environment: Mapping[str, str] | None = None) -> tuple[Instrument, ...]:
    """Load the instruments file that the settings name; none when they name none.

    Raises
    ------
    ConfigurationError
        The file is missing or breaks a rule; every violation is listed.
    """
    if settings.instruments is None:
        return ()
    path = settings.resolve(settings.instruments)
    if not path.is_file():
        raise ConfigurationError(f"instruments file {path} does not exist; write one with 'tributary init'")
    raw = _read_yaml(path, os.environ if environment is None else environment)
    return _validate(InstrumentsFile, raw, path).instruments


def _read_yaml(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as YAML: {error}") from None
    try:
        return parse_yaml(text, environment)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path} {error}") from None


def _validate(model: type[M], raw: dict[str, Any], path: Path) -> M:
    try:
        return model.model_validate(raw)
    except PydanticError as error:
        raise ConfigurationError(f"{path}: {explain_violations(model, error)}") from None
