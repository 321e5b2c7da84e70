"""How a step walks over instruments: which are selected, for which days, and what one failure means for the others.

A DataError is a refusal: the data cannot answer, the asset is materialised with status refused and the reason. A
StorageError ends the attempt and the step is tried again, because the store is everybody's. Any other error fails its
own instrument; the rest go on, and the step fails at the end with the list.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pandas as pd

from tributary_pipelines.core.errors import DataError, StorageError
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.settings import AnalyticsSettings, Instrument
from tributary_pipelines.core.units import day_start
from tributary_pipelines.defs.metadata import table, to_metadata
from tributary_pipelines.defs.partitions import days_of
from tributary_pipelines.defs.resources import MarketStoreResource, SettingsResource
from tributary_pipelines.flows.statistics import fingerprint_of
from tributary_pipelines.flows.subjects import Subject, series_subject, subject_of
from tributary_pipelines.storage.base import MarketStore, ResultDay, Token
from tributary_pipelines.storage.together import together

#: A server that restarts is back within these waits, 30 s in all.
RETRY_WAITS_S = (2, 4, 8, 16)
_DAYS_BY_HAND = 30
_MOST_WITH_PICTURES = 50
#: Days of raw data that are held in memory at a time, 10 MB each; more of them together are hardly quicker.
MOST_TOGETHER = 16

#: A selected asset and its instrument.
Chosen = tuple[dg.AssetKey, Instrument]

#: What the step of a stage yields.
StageEvent = dg.MaterializeResult[None] | dg.AssetCheckResult


def markets_of(known: Sequence[Market], instrument: Instrument) -> list[Market]:
    """Return the tokens of an instrument: one, or the first token of each market of its series.

    Parameters
    ----------
    known
        Every token of the store, first tokens first.

    Raises
    ------
    DataError
        The store knows no such market, or not the token.
    """
    chosen: dict[str, Market] = {}
    for market in known:
        name = market.series_id if instrument.market_id is None else market.market_id
        if name == (instrument.market_id or instrument.series_id) and instrument.token_id in (None, market.token_id):
            chosen.setdefault(market.market_id, market)
    if not chosen:
        raise DataError(
            f"{_meaning(instrument)} is not in the store; data comes in by 'tributary import' or the collector"
        )
    return list(chosen.values())


def subject_of_instrument(known: Sequence[Market], instrument: Instrument) -> Subject:
    """Return what is calibrated of an instrument: its token, or its series as one.

    Raises
    ------
    DataError
        The store knows no such market, not the token, or no market of the series.
    """
    if instrument.series_id is not None:
        return series_subject(instrument.series_id, known)
    return subject_of(markets_of(known, instrument)[0])


def _meaning(instrument: Instrument) -> str:
    what = f"market {instrument.market_id!r}" if instrument.market_id else f"series {instrument.series_id!r}"
    token = f", token {instrument.token_id!r}," if instrument.token_id else ""
    return f"{what}{token} of instrument {instrument.name!r}"


@contextmanager
def retried(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> Iterator[None]:
    """Turn a failing store into a retry of the step, and into its failure once the attempts are used up.

    Raises
    ------
    dagster.RetryRequested
        The store failed and attempts are left.
    dagster.Failure
        The store failed for good.
    """
    try:
        yield
    except StorageError as error:
        attempt = context.retry_number
        if attempt < len(RETRY_WAITS_S):
            context.log.warning(f"the store failed, trying again in {RETRY_WAITS_S[attempt]} s: {error}")
            raise dg.RetryRequested(len(RETRY_WAITS_S), RETRY_WAITS_S[attempt]) from error
        raise dg.Failure(f"the store failed {attempt + 1} times: {error}", allow_retries=False) from error


@dataclass(slots=True)
class StageRun:
    """One attempt at a stage: what was asked for, and what became of the instruments that could not be computed.

    Parameters
    ----------
    known
        Every token of the store, read once.
    days
        The days of the run; the last 30 complete ones when it has none (a check started by hand).
    """

    context: dg.AssetExecutionContext
    store: MarketStore
    settings: AnalyticsSettings
    instruments: Mapping[dg.AssetKey, Instrument]
    known: list[Market]
    days: list[date]
    refused: dict[dg.AssetKey, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def selected(self) -> Iterator[Chosen]:
        """Return the selected assets and their instruments, in the order of the settings."""
        chosen = self.context.selected_asset_keys
        return ((key, instrument) for key, instrument in self.instruments.items() if key in chosen)

    @property
    def is_small(self) -> bool:
        """Whether each instrument may show a picture: one is as large as twenty materialisations without."""
        return len(self.context.selected_asset_keys) <= _MOST_WITH_PICTURES

    @contextmanager
    def of(self, key: dg.AssetKey, instrument: Instrument) -> Iterator[None]:
        """Record a refusal or a failure of one instrument and let the others go on; see ``retried`` for the store."""
        with retried(self.context):
            try:
                yield
            except StorageError:
                raise
            except DataError as error:
                self.refused[key] = str(error)
            except Exception as error:
                # Recorded here and raised when the stage is concluded: one instrument's failure is its own.
                self.context.log.error(f"{instrument.name}: {error}", exc_info=error)
                self.failed[instrument.name] = f"{type(error).__name__}: {error}"

    def groups(self, chosen: Iterable[Chosen], *, most: int = MOST_TOGETHER) -> Iterator[list[Chosen]]:
        """Yield instruments a few at a time, fewer the more days each has; see ``together``.

        Parameters
        ----------
        most
            Days of instruments in a group, unless one instrument has more.
        """
        waiting, size = list(chosen), max(most // len(self.days), 1)
        return (waiting[first : first + size] for first in range(0, len(waiting), size))

    @contextmanager
    def together(self, tokens: Iterable[Token]) -> Iterator["StageRun"]:
        """Give this run with a store that reads for all these tokens at once and writes results when the block ends.

        Only what is done after the block may say that results are stored.
        """
        with retried(self.context), together(self.store, list(dict.fromkeys(tokens))) as near:
            yield replace(self, store=near)

    def describe(self, key: dg.AssetKey, values: Mapping[date, Mapping[str, object]]) -> None:
        """Give each day of an asset its own metadata; a range of days would else show the same numbers every day."""
        for day, own in values.items():
            self.context.add_asset_metadata(to_metadata(own), asset_key=key, partition_key=day.isoformat())

    def result_days(self, markets: Sequence[Market]) -> list[ResultDay]:
        """Return every day of these markets, the units that are replaced in a result table."""
        return [ResultDay(market.market_id, market.token_id, day) for market in markets for day in self.days]

    def refusals(self) -> Iterator[StageEvent]:
        """Yield the refused assets with their reasons."""
        for key, reason in self.refused.items():
            yield dg.MaterializeResult(key, metadata=to_metadata({"status": "refused", "reasons": reason}))

    def raise_failures(self) -> None:
        """Fail the step when an instrument failed.

        Raises
        ------
        dagster.Failure
            At least one instrument failed; the reasons are listed.
        """
        if self.failed:
            listed = "; ".join(f"{name}: {reason}" for name, reason in self.failed.items())
            raise dg.Failure(
                f"{len(self.failed)} instruments failed, the others are materialised. {listed}",
                metadata={"failed": table(pd.DataFrame(self.failed.items(), columns=["instrument", "reason"]))},
                allow_retries=False,
            )


def begin(
    context: dg.AssetExecutionContext,
    store: MarketStoreResource,
    settings: SettingsResource,
    instruments: Mapping[dg.AssetKey, Instrument],
) -> StageRun:
    """Return what a stage needs to start: settings as they are now, the days of the run, the store's markets."""
    days = days_of_run(context.run.tags, today=datetime.now(UTC).date())
    with retried(context):
        known = store.opened.reader.markets()
    return StageRun(context, store.opened, settings.load().analytics, instruments, known, days)


def days_of_run(tags: Mapping[str, str], *, today: date) -> list[date]:
    """Return the days that a run's tags name, or the last 30 complete ones when they name none."""
    first = tags.get("dagster/partition") or tags.get("dagster/asset_partition_range_start")
    last = tags.get("dagster/partition") or tags.get("dagster/asset_partition_range_end")
    if first and last:
        return days_of(first, last)
    return [today - timedelta(days=n) for n in range(_DAYS_BY_HAND, 0, -1)]


def data_version(fingerprints: Iterable[object]) -> dg.DataVersion:
    """Return one data version from the fingerprints of everything an asset was made from."""
    return dg.DataVersion(fingerprint_of(*fingerprints)[:32])


def rows_of_day(rows: pd.DataFrame, day: date) -> pd.DataFrame:
    """Return the result rows of one UTC day."""
    return rows[(rows["timestamp"] >= day_start(day)) & (rows["timestamp"] < day_start(day) + timedelta(days=1))]
