"""The result table of each stage: table, asset and analytics function carry the same name.

A row belongs to (market_id, token_id, UTC day); ``timestamp`` lies inside that day. A day is always replaced whole
(storage/base.py, ResultStore.replace_days). Nullable numbers are null, never 0 and never NaN.
"""

from tributary_pipelines.core.frames import Column, Frame
from tributary_pipelines.core.units import PARAMETER_UNITS

_MARKET = Column("market_id", "symbol", "id", "the venue's market")
_TOKEN = Column("token_id", "symbol", "id", "the token of the market")
_DAY = Column("timestamp", "timestamp", "UTC", "00:00 of the day the row belongs to")
_CODE = Column("code_version", "symbol", "version", "version of the computation that made the row")
_DATA = Column("data_fingerprint", "string", "hash", "fingerprint of the market data the row was made from")

VWAP_BARS = Frame(
    "vwap_bars",
    "one bar that traded; intervals without a trade have no row",
    ("timestamp", "market_id", "token_id"),
    (
        Column("timestamp", "timestamp", "UTC", "start of the bar"),
        _MARKET,
        _TOKEN,
        Column("open", "double", "P", "first price"),
        Column("high", "double", "P", "highest price"),
        Column("low", "double", "P", "lowest price"),
        Column("close", "double", "P", "last price"),
        Column("vwap", "double", "P", "notional over volume; null when volume is zero"),
        Column("volume", "double", "shares", "shares traded"),
        Column("notional", "double", "quote", "sum of price times size"),
        Column("signed_volume", "double", "shares", "bought minus sold by takers; unknown sides count 0"),
        Column("n_trades", "long", "trades", "number of trades"),
    ),
)


def _parameter_columns(name: str, unit: str) -> tuple[Column, ...]:
    return (
        Column(name, "double", unit, f"estimate of {name}; null when refused"),
        Column(f"{name}_ci_low", "double", unit, "lower end of the 95 % interval"),
        Column(f"{name}_ci_high", "double", unit, "upper end of the 95 % interval"),
        Column(f"{name}_source", "symbol", "own|pooled|refused", "where the estimate comes from"),
    )


ALMGREN_CHRISS_PARAMETERS = Frame(
    "almgren_chriss_parameters",
    "calibrated parameters of one token from the window that ends with this day; usable from the next",
    ("timestamp", "market_id", "token_id"),
    (
        _DAY,
        _MARKET,
        _TOKEN,
        Column("status", "symbol", "ok|pooled|refused", "refused when sigma, gamma, epsilon or book_slope is"),
        Column("reasons", "string", "JSON list", "why parameters are refused, in words"),
        Column("flags", "string", "JSON list", "warnings that do not refuse"),
        Column("window_start", "timestamp", "UTC", "start of the window, inclusive"),
        Column("window_end", "timestamp", "UTC", "end of the window, exclusive"),
        Column("usable_from", "timestamp", "UTC", "first moment the row may be used; equals window_end"),
        Column("n_days", "long", "days", "days of the window that hold data"),
        Column("n_trades", "long", "trades", "trades in the window"),
        Column("n_snapshots", "long", "snapshots", "snapshots in the window"),
        Column("coverage", "double", "fraction", "share of time within reach of a usable snapshot"),
        Column("eta_interval_s", "double", "s", "slicing interval at which eta holds"),
        Column("last_mid", "double", "P", "last usable mid of the window; of a bounded series its typical price"),
        Column("r2", "double", "fraction", "share of mid variance explained by flow in the lag regression"),
        Column("gamma_own", "double", "P/share", "what this market's own data say of gamma, also when that is refused"),
        Column("gamma_se", "double", "P/share", "bootstrap standard error of gamma_own"),
        Column("gamma_hac_se", "double", "P/share", "Newey-West standard error of gamma_own, over 2 h blocks"),
        Column("gamma_t", "double", "1", "gamma_own over gamma_se"),
        Column("gamma_wide", "double", "P/share", "gamma_own in buckets of 5 min instead of 1 min"),
        Column("lead_t", "double", "1", "t of the flow of the minute to come; large when clocks disagree"),
        Column("horizon_s", "double", "s", "reach of the lags of flow"),
        Column("side_attenuation", "double", "1", "factor on gamma from sides that the quote rule gets wrong"),
        Column("kappa_profile", "double", "P/share", "transient impact by the resilience profile"),
        Column("kappa_book", "double", "P/share", "transient impact by the book, 2 b - gamma"),
        Column("transient_eta", "double", "P*day/share", "eta~ for child orders every 60 s"),
        Column("transient_eta_ci_low", "double", "P*day/share", "lower end of its 95 % interval"),
        Column("transient_eta_ci_high", "double", "P*day/share", "upper end of its 95 % interval"),
        Column("lag_short_s", "double", "s", "J of the two-scale slope"),
        Column("lag_long_s", "double", "s", "K of the two-scale slope"),
        Column("sigma_window", "double", "P/day^0.5", "volatility on average over the window, whatever the last mid"),
        Column("sigma_x", "double", "1/day^0.5", "volatility of the bounded price's state; null without bounds"),
        Column("jump_share", "double", "fraction", "share of the 5-min variance that bipower variation does not see"),
        Column("volatility_measures", "array", "P^2/day, P", "diagnostics of sigma by volatility_measures.MEASURES"),
        Column("variance_profile", "array", "1", "variance by hour of the week from Monday 00:00, mean 1"),
        Column("volume_profile", "array", "1", "volume by hour of the week from Monday 00:00, mean 1"),
        Column("trades_per_day", "double", "trades/day", "trades over the days that hold data"),
        Column("flow_sq_per_day", "double", "shares^2/day", "sum of squared trade sizes over the days that hold data"),
        Column("flow_sq_error", "double", "1", "standard error of the logarithm of flow_sq_per_day"),
        Column("book_slope_buy", "double", "P/share", "cost slope of the ask side"),
        Column("book_slope_sell", "double", "P/share", "cost slope of the bid side"),
        Column("book_intercept", "double", "P", "intercept of the book's cost curve; the half-spread in the model"),
        Column("power_law_exponent", "double", "1", "beta of c(n) = a0 + a n^beta; 1 for a book of even depth"),
        Column("span_ticks", "double", "ticks", "median displayed span the slopes were measured over"),
        Column("cost_sizes", "array", "shares", "sizes of the displayed cost curves"),
        Column("cost_buy", "array", "P", "mean cost per share of buying these sizes at once"),
        Column("cost_sell", "array", "P", "mean cost per share of selling these sizes at once"),
        Column("fee_per_share", "double", "P", "fee part of epsilon"),
        Column("pool_weight", "double", "fraction", "weight of the pool in a pooled gamma; null when it is the own"),
        Column("pool_markets", "string", "JSON list", "the markets of that pool"),
        *(c for n, u in PARAMETER_UNITS.items() for c in _parameter_columns(n, u)),
        _CODE,
        _DATA,
    ),
)

IMPACT_STATISTICS = Frame(
    "impact_statistics",
    "additive sufficient statistics of one token and day, by 2 h block; nothing crosses 00:00 UTC",
    ("timestamp", "market_id", "token_id"),
    (
        _DAY,
        _MARKET,
        _TOKEN,
        Column("n_trades", "long", "trades", "trades of the day"),
        Column("n_unsigned", "long", "trades", "of them without the venue's side, signed by the quote rule"),
        # Counts that a later version added are doubles: QuestDB 9.3.4 reads whole numbers as null where their column is
        # younger than the table.
        Column("n_side_checked", "double", "trades", "trades on which the quote rule could be checked"),
        Column("n_side_agreeing", "double", "trades", "of them, those where it agrees with the venue"),
        Column("n_other_token", "double", "trades", "trades that were reported on the complement token"),
        Column("n_mirrored", "double", "trades", "trades reported on both tokens, counted once"),
        Column("n_snapshots", "long", "snapshots", "snapshots of the day"),
        Column("n_usable", "long", "snapshots", "of them two-sided and not crossed"),
        Column("first_snapshot_s", "double", "s", "first snapshot, after 00:00; null when there is none"),
        Column("covered_s", "double", "s", "time within reach of a usable snapshot"),
        Column("price_min", "double", "P", "declared lower price bound; null when none was declared"),
        Column("price_max", "double", "P", "declared upper price bound; null when none was declared"),
        Column("spread_time", "array", "P*s", "per block: quoted half-spread integrated over covered time"),
        Column("spread_s", "array", "s", "per block: covered time of spread_time"),
        Column("move_sq", "array", "P^2", "per block and lag: sum of squared mid moves, blocks outermost"),
        Column("n_moves", "array", "moves", "per block and lag: number of moves"),
        Column(
            "move_scale_sq", "array", "P^2 or 1", "per block and lag: sum of squared price scales, 1 without bounds"
        ),
        Column("lag_xtx", "array", "shares^2", "per block: upper triangle of X'X, the lead and groups of 1-min lags"),
        Column("lag_xty", "array", "P*shares", "per block: X'y of the lag design"),
        Column("lag_yty", "array", "P^2", "per block: y'y"),
        Column("n_buckets", "array", "buckets", "per block: rows of the lag design"),
        Column("wide_xtx", "array", "shares^2", "the same for 5-min buckets: X'X"),
        Column("wide_xty", "array", "P*shares", "X'y"),
        Column("wide_yty", "array", "P^2", "y'y"),
        Column("decay_base", "array", "shares^2 or P", "per block: sums of F^2, F dM and dM^2 over minutes"),
        Column("decay_yy", "array", "shares^2", "per block and rate: sum of dY^2, Y the flow still felt"),
        Column("decay_fy", "array", "shares^2", "per block and rate: sum of F dY"),
        Column("decay_my", "array", "P*shares", "per block and rate: sum of dM dY"),
        Column("traded", "array", "shares", "per block: traded shares"),
        Column("traded_sq", "array", "shares^2", "per block: sum of squared trade sizes"),
        Column("slope_sum", "array", "P/share", "per block: sum of book slopes b, both sides"),
        Column("slope_sq", "array", "(P/share)^2", "per block: sum of b^2"),
        Column("slope_buy_sum", "array", "P/share", "per block: sum of ask-side slopes"),
        Column("slope_sell_sum", "array", "P/share", "per block: sum of bid-side slopes"),
        Column("n_slopes", "array", "snapshots", "per block: snapshots that gave a slope"),
        Column("depth_sum", "array", "shares", "per block: sum of the depths the slopes were measured over"),
        Column("intercept_sum", "array", "P", "per block: sum of the intercepts of the cost curves"),
        Column("curve_sum", "array", "P", "per block and fraction of the depth: sum of costs per share"),
        Column("span_counts", "array", "snapshots", "snapshots by displayed span of their slope, 0..25 whole ticks"),
        Column("cost_unit", "double", "shares", "first size of the displayed cost curves; each next one is double"),
        Column("cost_buy_sum", "array", "P", "per size: sum of the costs per share of buying at once"),
        Column("cost_sell_sum", "array", "P", "per size: sum of the costs per share of selling at once"),
        Column("n_cost_buy", "array", "snapshots", "per size: snapshots whose asks could fill it"),
        Column("n_cost_sell", "array", "snapshots", "per size: snapshots whose bids could fill it"),
        Column("hour_move_sq", "array", "P^2", "per UTC hour: sum of squared 5-min moves of the mid"),
        Column("hour_n_moves", "array", "moves", "per UTC hour: number of them"),
        Column("hour_volume", "array", "shares", "per UTC hour: traded shares"),
        Column("volatility_measures", "array", "P^2/day, P", "diagnostics of the day by volatility_measures.MEASURES"),
        Column("tick_size", "double", "P", "tick used; inferred from the ladders when the market has none"),
        Column("price_step", "double", "P", "smallest step between displayed prices"),
        Column("last_mid", "double", "P", "last usable mid of the day; of a bounded series its typical price"),
        _CODE,
        _DATA,
    ),
)

_ORDER = (
    Column("order_id", "symbol", "name", "standard order and strategy, unique within the day"),
    Column("strategy", "symbol", "name", "twap, ac, ..."),
    Column("side", "symbol", "buy|sell", "side of the parent order"),
    Column("shares", "double", "shares", "size of the parent order"),
    Column("horizon_s", "double", "s", "time from first release to the end"),
    Column("n_slices", "long", "slices", "number of slices"),
)
_OUTCOME = (
    Column("status", "symbol", "ok|pooled|refused", "refused when there is no answer"),
    Column("reasons", "string", "JSON list", "why, in words"),
    Column("flags", "string", "JSON list", "warnings"),
)

EXECUTION_PLANS = Frame(
    "execution_plans",
    "one trajectory for one standard order, from the parameters of the same day",
    ("timestamp", "market_id", "token_id", "order_id"),
    (
        _DAY,
        _MARKET,
        _TOKEN,
        *_ORDER,
        *_OUTCOME,
        Column("slice_quantities", "array", "shares", "quantity of each slice, in order"),
        Column("expected_cost", "double", "quote", "expected implementation shortfall"),
        Column("cost_std", "double", "quote", "standard deviation of the cost"),
        Column("cost_permanent", "double", "quote", "permanent part of the expected cost"),
        Column("cost_spread", "double", "quote", "half-spread part"),
        Column("cost_temporary", "double", "quote", "temporary part"),
        Column("cost_fees", "double", "quote", "fees"),
        Column("risk_aversion", "double", "1/quote", "lambda; null where the strategy has none"),
        Column("urgency", "double", "1", "kappa T"),
        Column("kappa_per_day", "double", "1/day", "decay rate of the trajectory"),
        Column("lvar_confidence", "double", "fraction", "confidence at which the plan is the L-VaR optimum"),
        Column("lvar", "double", "quote", "expected cost plus its quantile of the risk"),
        Column("usable_from", "timestamp", "UTC", "of the parameters that were used"),
        _CODE,
        _DATA,
    ),
)

EXECUTION_SIMULATIONS = Frame(
    "execution_simulations",
    "one standard order replayed on the day's book with the parameters known before the day",
    ("timestamp", "market_id", "token_id", "order_id"),
    (
        Column("timestamp", "timestamp", "UTC", "release of the order, inside the day"),
        _MARKET,
        _TOKEN,
        *_ORDER,
        *_OUTCOME,
        Column("filled", "double", "shares", "filled quantity"),
        Column("unfilled", "double", "shares", "ordered minus filled"),
        Column("average_price", "double", "P", "size-weighted fill price"),
        Column("arrival_mid", "double", "P", "last usable mid when the order reaches the market"),
        *(
            Column(f"shortfall_{part}", "double", "quote", f"{part} part of the implementation shortfall, + is a cost")
            for part in ("total", "delay", "spread", "temporary", "permanent", "timing", "opportunity", "fees")
        ),
        Column("shortfall_bps", "double", "bps", "total shortfall over shares times decision mid"),
        Column("full_refill_shortfall", "double", "quote", "bracket: displaced quotes recover at once"),
        Column("calibrated_shortfall", "double", "quote", "bracket: they recover at the calibrated rate"),
        Column("no_refill_shortfall", "double", "quote", "bracket: they never recover"),
        Column("predicted_cost", "double", "quote", "expected cost by the parameters used"),
        Column("fill_times", "array", "us", "time of each fill, microseconds since the epoch"),
        Column("fill_prices", "array", "P", "price of each fill"),
        Column("fill_quantities", "array", "shares", "quantity of each fill, positive"),
        Column("fill_slices", "array", "index", "slice of each fill, from 1"),
        Column("usable_from", "timestamp", "UTC", "of the parameters that were used; null when none"),
        Column("result_id", "string", "hash", "hash of order, parameters, data and code"),
        _CODE,
        _DATA,
    ),
)

RESULT_FRAMES = (
    VWAP_BARS,
    IMPACT_STATISTICS,
    ALMGREN_CHRISS_PARAMETERS,
    EXECUTION_PLANS,
    EXECUTION_SIMULATIONS,
)
