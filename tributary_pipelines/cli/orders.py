"""``analytics plan`` and ``simulate``: one parent order, its trajectory, and its replay on a recorded book."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tributary_pipelines.cli.options import DAY, DURATION, MOMENT, Command, build_request, invocation, json_option
from tributary_pipelines.cli.output import answer, number, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from tributary_pipelines.core.requests import SimulationRequest
    from tributary_pipelines.storage.base import MarketStore

F = TypeVar("F", bound=Callable[..., Any])

_EXPLICIT = ("sigma", "gamma", "eta", "epsilon")
_EQUAL_SLICES = "slices: "
_RISK = ("risk_aversion", "urgency", "lvar_confidence")

_PLAN_EXAMPLES = """
\b
Examples:
  tributary analytics plan --market demo_liquid --side buy --shares 5000 --horizon 6h --slices 12
  tributary analytics plan --side sell --shares 1000000 --horizon 5d --slices 5 --risk-aversion 1e-6 \\
      --sigma 0.95 --gamma 2.5e-7 --eta 2.5e-6 --epsilon 0.0625 --json

\b
Units, with P the price unit: sigma P/day^0.5, gamma P/share, eta P*day/share at horizon/slices, epsilon P,
resilience rate 1/day, risk aversion 1/quote. Exit status 3 when the market has no usable parameters.
"""

_SIMULATE_EXAMPLES = """
\b
Examples:
  tributary analytics simulate --market demo_liquid --strategy ac --side buy --shares 5000 \\
      --start 2026-03-01T12:00:00Z --horizon 6h --slices 12
  tributary analytics simulate --market M --strategy twap --side sell --shares 100 --start 2026-03-01T12:00:00Z \\
      --horizon 10m --slices 10 --refill no_refill --json

\b
Exit status 3 when no slice could be filled.
"""


def _order_options(command: F) -> F:
    for option in reversed(
        [
            click.option("--token", metavar="ID", help="Token; default the market's first."),
            click.option("--side", type=click.Choice(["buy", "sell"]), required=True),
            click.option("--shares", type=float, required=True, metavar="X", help="Size of the order."),
            click.option("--horizon", type=DURATION, required=True, help="From release to end: 90s 30m 1h 5d."),
            click.option("--slices", type=int, required=True, metavar="N", help="How many equal intervals."),
            click.option("--as-of", type=DAY, metavar="DATE", help="Newest parameters usable on that day."),
            click.option("--sigma", type=float, help="Volatility, P/day^0.5."),
            click.option("--gamma", type=float, help="Permanent impact, P/share."),
            click.option("--eta", type=float, help="Temporary impact, P*day/share."),
            click.option("--epsilon", type=float, help="Half-spread and fee, P."),
            click.option("--resilience-rate", type=float, metavar="RHO", help="Decay of displacement, 1/day."),
            click.option("--risk-aversion", type=float, metavar="L", help="Lambda, 1/quote."),
            click.option("--urgency", type=float, metavar="U", help="Kappa T; 1 when no risk option is given."),
            click.option("--lvar-confidence", type=float, metavar="C", help="Fraction, such as 0.95."),
        ]
    ):
        command = option(command)
    return command


@click.command("plan", cls=Command, epilog=_PLAN_EXAMPLES)
@click.option("--market", metavar="M", help="Use this market's stored parameters.")
@_order_options
@click.option("--strategy", default="ac", show_default=True, metavar="S", help="ac, twap, ...")
@click.option("--participation", type=float, metavar="F", help="Share of volume, for strategies that have one.")
@click.option("--start", type=MOMENT, metavar="T", help="Release of the order, for strategies that need one.")
@json_option
def plan(participation: float | None, start: datetime | None, **given: Any) -> None:
    """Slice an order, with its expected cost and risk."""
    from tributary_pipelines.core.requests import PlanRequest
    from tributary_pipelines.flows.planning import plan as make_plan

    request = build_request(PlanRequest, **_order_of(given), market=given["market"])
    settings = invocation().settings()
    _warn_of_unused(given, participation=participation, start=start)
    now = datetime.now(UTC)
    if request.market is None:
        found = make_plan(None, request, now=now)
    else:
        from tributary_pipelines.storage.open import open_store

        with open_store(settings) as store:
            found = make_plan(store, request, now=now)
    plain = found.to_answer()
    answer(plain, lambda to: _print_plan(to, plain, with_lvar=given["lvar_confidence"] is not None))


def _order_of(given: Mapping[str, Any]) -> dict[str, Any]:
    explicit = {name: given[name] for name in (*_EXPLICIT, "resilience_rate") if given[name] is not None}
    missing = [f"--{name}" for name in _EXPLICIT if name not in explicit]
    if explicit and missing:
        raise click.UsageError(f"parameters given by hand are incomplete: {', '.join(missing)} missing")
    if explicit and given["as_of"]:
        raise click.UsageError("--as-of chooses stored parameters; leave it out, or the parameters given by hand")
    if not explicit and given["market"] is None:
        raise click.UsageError("give --market, or --sigma --gamma --eta --epsilon")
    risk = {name: given[name] for name in _RISK if given[name] is not None}
    if len(risk) > 1:
        raise click.UsageError(f"give one of {', '.join('--' + name.replace('_', '-') for name in risk)}")
    return {
        "side": given["side"],
        "shares": given["shares"],
        "horizon_s": given["horizon"],
        "n_slices": given["slices"],
        "strategy": given["strategy"],
        "token": given["token"],
        "as_of": given["as_of"],
        "risk": risk,
        "parameters": explicit or None,
    }


def _warn_of_unused(given: Mapping[str, Any], **others: Any) -> None:
    import logging

    from tributary_pipelines.analytics.optimization.strategies import strategy_named

    strategy = strategy_named(given["strategy"])
    unused = [name for name, value in others.items() if value is not None]
    if not strategy.has_risk_aversion:
        unused += [name for name in _RISK if given[name] is not None]
    for name in unused:
        logging.getLogger(__name__).warning(
            "strategy %s has no use for --%s", given["strategy"], name.replace("_", "-")
        )


def _print_plan(to: "Console", plain: Mapping[str, Any], *, with_lvar: bool) -> None:
    if plain["status"] == "refused":
        _print_refusal(to, plain)
        return
    slices = plain["slices"]
    if slices:
        rows = [[s["index"], s["start_s"], s["quantity"], s["remaining"]] for s in slices]
        print_table(to, f"plan: {plain['strategy']}", ["slice", "start s", "quantity", "remaining"], rows)
    told = ("lvar_confidence", "lvar") if with_lvar else ()
    _print_facts(to, plain, ("expected_cost", "cost_std", "risk_aversion", "urgency", "kappa_per_day", *told))
    _print_facts(to, plain["components"] or {}, ("permanent", "spread", "temporary", "fees"))
    _print_reasons(to, plain)


def _print_facts(to: "Console", values: Mapping[str, Any], names: tuple[str, ...]) -> None:
    line = "   ".join(f"{name.replace('_', ' ')} {number(values.get(name))}" for name in names)
    to.print(line, markup=False)


def _print_refusal(to: "Console", plain: Mapping[str, Any]) -> None:
    _print_reasons(to, plain)
    to.print(
        "give --sigma --gamma --eta --epsilon by hand, or replay the order with 'tributary analytics simulate', "
        "which needs no parameters",
        markup=False,
    )


def _print_reasons(to: "Console", plain: Mapping[str, Any]) -> None:
    said = "refused" if plain["status"] == "refused" else "note"
    for reason in plain["reasons"]:
        if not reason.startswith(_EQUAL_SLICES):
            to.print(f"{said}: {reason}", markup=False)
    if plain["flags"]:
        to.print(f"flags: {', '.join(plain['flags'])}", markup=False)


@click.command("simulate", cls=Command, epilog=_SIMULATE_EXAMPLES)
@click.option("--market", required=True, metavar="M", help="Market id, slug or series id.")
@click.option("--strategy", required=True, metavar="S", help="ac, twap, ...")
@_order_options
@click.option("--start", type=MOMENT, required=True, metavar="T", help="Release of the order.")
@click.option(
    "--refill",
    type=click.Choice(["no_refill", "calibrated", "full_refill"]),
    default="calibrated",
    show_default=True,
    help="Which member of the bracket is listed.",
)
@click.option("--fill-model", type=click.Choice(["orderbook", "midpoint", "spread"]), help="Default from the settings.")
@click.option("--latency", type=DURATION, help="From decision to arrival; default from the settings.")
@json_option
def simulate(start: datetime, refill: str, fill_model: str | None, latency: float | None, **given: Any) -> None:
    """Replay an order on the recorded book."""
    from tributary_pipelines.core.requests import SimulationRequest
    from tributary_pipelines.flows.simulation import simulate as replay
    from tributary_pipelines.storage.open import open_store

    request = build_request(
        SimulationRequest,
        **_order_of(given),
        market=given["market"],
        start=start,
        refill=refill,
        fill_model=fill_model,
        latency_s=latency,
    )
    settings = invocation().settings()
    _warn_of_unused(given)
    with open_store(settings) as store:
        plain = replay(store, settings.analytics, request)
        std = None if invocation().as_json or plain["predicted"] is None else _cost_std(store, request)
    answer(plain, lambda to: _print_simulation(to, plain, std))


def _cost_std(store: "MarketStore", request: "SimulationRequest") -> float | None:
    """Return the standard deviation of the cost by the parameters that the replay used."""
    from tributary_pipelines.core.requests import PlanRequest
    from tributary_pipelines.flows.planning import plan as make_plan

    shared = {name: getattr(request, name) for name in PlanRequest.model_fields}
    shared["as_of"] = request.as_of or request.start.astimezone(UTC).date()
    return make_plan(store, PlanRequest(**shared), now=request.start).cost_std


def _print_simulation(to: "Console", plain: Mapping[str, Any], std: float | None) -> None:
    for reason in plain["reasons"]:
        if reason.startswith(_EQUAL_SLICES):
            to.print(f"warning: {reason}", markup=False)
    _print_headline(to, plain, std)
    fills = [[f["slice"], f["at"], f["price"], f["quantity"], f["level"], f["snapshot_age_s"]] for f in plain["fills"]]
    if fills:
        print_table(to, "fills", ["slice", "at", "price", "quantity", "level", "snapshot age s"], fills)
    _print_facts(to, plain, ("filled", "unfilled", "average_price", "arrival_mid"))
    print_table(to, "shortfall (quote currency, + is a cost)", ["part", "cost"], list(plain["shortfall"].items()))
    members = plain["bracket"]
    rows = [[name, (found or {}).get("shortfall"), (found or {}).get("filled")] for name, found in members.items()]
    print_table(to, "bracket", ["refill", "shortfall", "filled"], rows)
    _print_facts(to, plain["predicted"] or {}, ("cost", "cost_low", "cost_high"))
    _print_missed(to, plain["no_fill_reasons"])
    _print_reasons(to, plain)


def _print_headline(to: "Console", plain: Mapping[str, Any], std: float | None) -> None:
    refilled, not_refilled = (
        number((plain["bracket"][name] or {}).get("shortfall")) for name in ("full_refill", "no_refill")
    )
    expected = number((plain["predicted"] or {}).get("cost"))
    to.print(
        f"cost, book refills: {refilled}   cost, it does not: {not_refilled}   "
        f"expected: {expected} +- {number(std)} (std)",
        markup=False,
    )


def _print_missed(to: "Console", missed: Sequence[Mapping[str, Any]]) -> None:
    """Print one line for each stretch of slices that missed for the same reason."""
    for reason, group in groupby(missed, key=lambda entry: entry["reason"]):
        slices = [entry["slice"] for entry in group]
        which = f"slice {slices[0]}" if len(slices) == 1 else f"slices {slices[0]}-{slices[-1]}"
        to.print(f"{which} not filled: {reason}", markup=False)
