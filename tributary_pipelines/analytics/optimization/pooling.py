"""A gamma for a market whose own trades cannot tell: borrowed from the markets of its venue, in logs.

Markets differ in scale, but the share of variance that flow explains, R2 = gamma^2 (sum of v^2 a day) / sigma^2, is
alike within a venue. Each market with a gamma of its own gives x = ln(gamma / (sigma / sqrt(sum of v^2 a day))), which
is half of ln R2. A new market's x is expected at their mean, give or take s_pool = sd(x) sqrt(1 + 1/n) and the error of
its own scale. What the thin market itself says, if it is positive, is weighed in by 1/se^2 and 1/s_pool^2 in logs, so
gamma is never negative.

Only calibrations that were usable by the end of the window may be members (flows/pooling.py): nothing looks ahead.
Source: empirical Bayes shrinkage (Efron & Morris, 1975); the scale is our choice (it makes gamma comparable).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from math import exp, hypot, log, sqrt

import numpy as np

from tributary_pipelines.analytics.calibration.resampling import student_t
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters, Estimate

#: Fewer markets say little of how much markets differ.
FEWEST_MEMBERS = 3
LEAST_T = 2.0


@dataclass(frozen=True, slots=True)
class Pool:
    """What the markets of a venue have in common.

    Parameters
    ----------
    venue : str
    markets : tuple of str
        The members' market ids, sorted.
    mean, sd : float
        Of ln(gamma) over its natural scale: expectation for another market, and standard error of that.
    fingerprint : str
        Of the members' calibrations.
    """

    venue: str
    markets: tuple[str, ...]
    mean: float
    sd: float
    fingerprint: str


def _log_scale(found: AlmgrenChrissParameters) -> float | None:
    """Return ln(sigma / sqrt(sum of v^2 a day)), the scale of gamma; None without volatility or trades.

    sigma is the window's, as gamma is: a bounded market's sigma at its last mid may be a small part of it.
    """
    sigma, flow_sq = found.sigma_window, found.flow_sq_per_day
    return log(sigma / sqrt(flow_sq)) if sigma and flow_sq else None


def make_pool(venue: str, members: Sequence[AlmgrenChrissParameters]) -> Pool | None:
    """Return the pool of these calibrations, one of each market; None when fewer than three have a gamma of their own.

    Parameters
    ----------
    members : sequence of AlmgrenChrissParameters
        Those whose gamma is refused or borrowed are passed over.
    """
    own = sorted(
        (m for m in members if m.estimates["gamma"].source == "own" and _log_scale(m) is not None),
        key=lambda m: (m.market_id, m.token_id),
    )
    if len(own) < FEWEST_MEMBERS:
        return None
    shares = np.array([log(m.value("gamma") or 1.0) - (_log_scale(m) or 0.0) for m in own])
    lines = "\n".join(f"{m.market_id} {m.token_id} {m.usable_from} {m.data_fingerprint}" for m in own)
    return Pool(
        venue,
        tuple(m.market_id for m in own),
        float(shares.mean()),
        float(shares.std(ddof=1)) * sqrt(1 + 1 / len(own)),
        sha256(lines.encode()).hexdigest(),
    )


def may_borrow(found: AlmgrenChrissParameters) -> bool:
    """Whether gamma alone stands between this market and a plan, and the market trades at all.

    A market whose own trades clearly move its price the wrong way has a fault in its data, which no pool mends.
    """
    needed = ("sigma", "epsilon", "book_slope")
    return (
        found.value("gamma") is None
        and not (found.gamma_t is not None and found.gamma_t < -LEAST_T)
        and all(found.value(name) is not None for name in needed)
        and _log_scale(found) is not None
        and found.flow_sq_error is not None
    )


def borrow_gamma(found: AlmgrenChrissParameters, pool: Pool) -> AlmgrenChrissParameters:
    """Return a calibration with gamma from the pool, weighed with what its own trades say.

    Unchanged where it may not borrow. Where even the pool's gamma is not below 2 b it stays refused, and says so.

    Parameters
    ----------
    found : AlmgrenChrissParameters
        Its own calibration.
    pool : Pool
        Of its venue, without the market itself.
    """
    scale, slope = _log_scale(found), found.value("book_slope")
    if not may_borrow(found) or scale is None or slope is None or found.flow_sq_error is None:
        return found
    own_weight, own_log = 0.0, 0.0
    if found.gamma_own is not None and found.gamma_own > 0 and found.gamma_se:
        own_log, own_weight = log(found.gamma_own), (found.gamma_own / found.gamma_se) ** 2
    # The market's own scale is uncertain, too: few trades of very different sizes make up its sum of v^2.
    pool_weight = 1 / max(hypot(pool.sd, found.flow_sq_error / 2), 1e-6) ** 2
    total = own_weight + pool_weight
    gamma = exp((own_weight * own_log + pool_weight * (pool.mean + scale)) / total)
    reach = student_t(len(pool.markets) - 1) / sqrt(total)
    share = pool_weight / total
    fingerprint = sha256(f"{found.data_fingerprint} {pool.fingerprint}".encode()).hexdigest()
    told = f"{len(pool.markets)} markets of {pool.venue} lend {share:.0%} of it ({', '.join(pool.markets[:5])}"
    told += ", ...)" if len(pool.markets) > 5 else ")"
    if gamma >= 2 * slope:
        reason = f"gamma: {told}, and {gamma:.3g} P/share is not below twice the book slope {slope:.3g}"
        flags = tuple(dict.fromkeys((*found.flags, "gamma_ge_2b")))
        return replace(found, reasons=(*found.reasons, reason), flags=flags, data_fingerprint=fingerprint)
    unit = found.estimates["gamma"].unit
    lent = Estimate(gamma, unit, gamma * exp(-reach), gamma * exp(reach), "pooled")
    return replace(
        found,
        status="pooled",
        reasons=(*found.reasons, f"gamma: {told}"),
        estimates={**found.estimates, "gamma": lent},
        kappa_book=2 * slope - gamma,
        pool_weight=share,
        pool_markets=pool.markets,
        data_fingerprint=fingerprint,
    )
