"""How a step walks over instruments: which are selected, for which days, and what one failure means for the others.

A DataError is a refusal: the data cannot answer, the asset is materialised with status refused and the reason. A
StorageError ends the attempt and the step is tried again, because the store is everybody's. Any other error fails its
own instrument; the rest go on, and the step fails at the end with the list.

"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta

import dagster as dg
import pandas as pd

from tributary_pipelines.core.errors import DataError, StorageError
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.settings import Instrument
from tributary_pipelines.core.units import day_start
from tributary_pipelines.defs.metadata import table, to_metadata
from tributary_pipelines.defs.partitions import days_of
from tributary_pipelines.flows.calibration import fingerprint_of
from tributary_pipelines.storage.base import MarketDataReader, ResultDay

#: A server that restarts is back within these waits, 30 s in all.
RETRY_WAITS_S = (2, 4, 8, 16)


def days_of_run(context: dg.AssetExecutionContext) -> list[date]:
    """Return the days that a run materialises."""
    keys = context.partition_key_range
    return days_of(keys.start, keys.end)


def selected(
    context: dg.AssetExecutionContext, instruments: Mapping[dg.AssetKey, Instrument]
) -> Iterator[tuple[dg.AssetKey, Instrument]]:
    """Return the selected assets and their instruments, in the order of the settings."""
    chosen = context.selected_asset_keys
    return ((key, instrument) for key, instrument in instruments.items() if key in chosen)


def known_markets(context: dg.AssetExecutionContext | dg.OpExecutionContext, reader: MarketDataReader) -> list[Market]:
    """Return every token of the store, read once for a step."""
    with retried(context):
        return reader.markets()


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


class Outcomes:
    """What became of the instruments of a step that could not be computed."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._context = context
        self._refused: dict[dg.AssetKey, str] = {}
        self._failed: dict[str, str] = {}

    @contextmanager
    def of(self, key: dg.AssetKey, instrument: Instrument) -> Iterator[None]:
        """Record a refusal or a failure of one instrument and let the others go on; see ``retried`` for the store."""
        with retried(self._context):
            try:
                yield
            except StorageError:
                raise
            except DataError as error:
                self._refused[key] = str(error)
            except Exception as error:
                # Recorded here and raised by settle, whatever it is: one instrument's failure is its own.
                self._context.log.error(f"{instrument.name}: {error}", exc_info=error)
                self._failed[instrument.name] = f"{type(error).__name__}: {error}"

    def settle(self) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
        """Yield the refused assets with their reasons, then fail the step when an instrument failed.

        Raises
        ------
        dagster.Failure
            At least one instrument failed; the reasons are listed.
        """
        for key, reason in self._refused.items():
            yield dg.MaterializeResult(key, metadata=to_metadata({"status": "refused", "reasons": reason}))
        if self._failed:
            listed = "; ".join(f"{name}: {reason}" for name, reason in self._failed.items())
            raise dg.Failure(
                f"{len(self._failed)} instruments failed, the others are materialised. {listed}",
                metadata={"failed": table(pd.DataFrame(self._failed.items(), columns=["instrument", "reason"]))},
                allow_retries=False,
            )


def describe_days(
    context: dg.AssetExecutionContext, key: dg.AssetKey, days: Mapping[date, Mapping[str, object]]
) -> None:
    """Give each day of an asset its own metadata; a run over a range would else show every day the same numbers."""
    for day, values in days.items():
        context.add_asset_metadata(to_metadata(values), asset_key=key, partition_key=day.isoformat())


def data_version(fingerprints: Iterable[object]) -> dg.DataVersion:
    """Return one data version from the fingerprints of everything an asset was made from."""
    return dg.DataVersion(fingerprint_of(*fingerprints)[:32])


def result_days(markets: Sequence[Market], days: Sequence[date]) -> list[ResultDay]:
    """Return every day of every market, the units that are replaced in a result table."""
    return [ResultDay(market.market_id, market.token_id, day) for market in markets for day in days]


def rows_of_day(rows: pd.DataFrame, day: date) -> pd.DataFrame:
    """Return the result rows of one UTC day."""
    return rows[(rows["timestamp"] >= day_start(day)) & (rows["timestamp"] < day_start(day) + timedelta(days=1))]
