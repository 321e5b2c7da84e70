"""From rows of the markets table to Market objects, alike for both stores."""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from tributary_pipelines.core.models import Market

_LOG = logging.getLogger(__name__)


def to_markets(entries: Iterable[Mapping[str, Any]], seen: Iterable[tuple[str, str]]) -> list[Market]:
    """Return one Market a token, in the order they were first stored.

    Parameters
    ----------
    entries
        Rows of the markets table from the first to the last stored; the last of a token counts.
    seen
        Tokens that have data; those without an entry follow with nothing but their ids.
    """
    newest: dict[tuple[str, str], Market] = {}
    for entry in entries:
        newest[entry["market_id"], entry["token_id"]] = _market(entry)
    for market_id, token_id in seen:
        if (market_id, token_id) not in newest:
            newest[market_id, token_id] = Market(market_id=market_id, token_id=token_id)
    return list(newest.values())


def _market(entry: Mapping[str, Any]) -> Market:
    known = {name: _aware(entry[name]) for name in Market.model_fields if entry.get(name) is not None}
    try:
        return Market.model_validate(known)
    except ValidationError as error:
        # Earlier deployments hold entries by other rules: what breaks one is unknown to us, the token is still there.
        broken = {str(part) for problem in error.errors() for part in problem["loc"]} or _RULED
        _LOG.warning(
            "market %r, token %r: ignoring %s, which break the rules of a market entry",
            entry["market_id"], entry["token_id"], ", ".join(sorted(broken)),
        )  # fmt: skip
        return _market({name: value for name, value in known.items() if name not in broken})


_RULED = {"price_min", "price_max", "fee_model", "fee_rate", "fee_exponent"}


def _aware(value: object) -> object:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
