"""A person's first look: the UI in a real browser, on an instance that the real commands filled."""

import json
import math
import urllib.request
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.integration.dagster_ui import materialise_latest_day, open_browser, show_lineage, show_picture, show_plots
from tests.integration.processes import clean_environment, free_port, running, wait_until
from tests.what_cannot_run import need_program
from tributary_pipelines.cli.folder import dagster_home, write_folder
from tributary_pipelines.core.requests import SyntheticRequest
from tributary_pipelines.core.settings import load_instruments, load_settings
from tributary_pipelines.defs.launch import run_range
from tributary_pipelines.flows.market_data import synthesize
from tributary_pipelines.storage.open import open_store

pytestmark = pytest.mark.integration

N_DAYS = 36
STAGES = ("vwap_bars", "impact_statistics", "almgren_chriss_parameters", "execution_plans", "execution_simulations")


@dataclass(frozen=True, slots=True)
class Site:
    """The running UI: a page of a browser and the address to open in it."""

    page: Page
    address: str


@pytest.fixture(scope="module")
def filled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a synthetic market that went through the whole pipeline, ending yesterday as plots need it."""
    folder = tmp_path_factory.mktemp("ui")
    write_folder(folder)
    (folder / "instruments.yaml").write_text("instruments:\n  - {name: alpha, market_id: alpha}\n", encoding="utf-8")
    file = folder / "tributary.yaml"
    settings = load_settings(file, {})
    today = datetime.now(UTC).date()
    first = today - timedelta(days=N_DAYS)
    request = SyntheticRequest(
        market_id="alpha",
        n_days=N_DAYS,
        trades_per_hour=20,
        seed=1,
        start=first,
        options={"snapshot_s": 30, "levels": 5},
    )
    with open_store(settings) as store:
        store.writer.create_tables()
        synthesize(store, request)
    home = dagster_home(settings)
    with warnings.catch_warnings():
        # Dagster calls methods of its own that it has deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        done = run_range(settings, load_instruments(settings, {}), first, today, home=home, settings_file=file)
    assert done.is_success, done.failures
    return folder


@pytest.fixture(scope="module")
def site(filled_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The UI as ``tributary ui`` starts it, and a browser."""
    chromium = need_program("chromium", "chromium-browser", reason="no browser; install Debian's package chromium")
    port = str(free_port())
    command = ["tributary", "ui", "--port", port]
    with running(command, environment=clean_environment(), folder=filled_folder) as program:
        wait_until(lambda: "Tributary UI: " in program.output(), within_s=60, programs=[program])
        with open_browser(chromium, tmp_path_factory.mktemp("profile")) as page:
            yield Site(page, f"http://127.0.0.1:{port}")


def test_the_lineage_shows_the_stages(site: Site) -> None:
    show_lineage(site.page, site.address, STAGES)


def test_the_parameter_history_is_a_plot_of_thirty_points(site: Site) -> None:
    drawn = show_plots(site.page, site.address, "alpha/almgren_chriss_parameters", "sigma")
    for name in ("sigma", "epsilon", "book_slope", "eta"):
        points = [value for value in drawn[name] if is_drawn(value)]
        assert len(points) >= 30, name
        assert len(set(points)) > 20, f"{name} is flat: every day shows the same number"


def is_drawn(value: float | None) -> bool:
    """Whether a day has a point; days without a number are gaps."""
    return value is not None and math.isfinite(value)


def test_the_ends_of_the_intervals_are_plots_around_their_values(site: Site) -> None:
    drawn = show_plots(site.page, site.address, "alpha/almgren_chriss_parameters", "gamma")
    for name in ("sigma", "gamma", "book_slope", "eta", "resilience_rate"):
        days = zip(drawn[f"{name}_ci_low"], drawn[name], drawn[f"{name}_ci_high"], strict=True)
        known = [ends for ends in days if all(is_drawn(end) for end in ends)]
        assert len(known) >= 30, name
        assert all(low < value < high for low, value, high in known), name


def test_the_impact_curve_of_the_newest_day_is_a_picture(site: Site) -> None:
    text, width_px = show_picture(site.page, site.address, "alpha/almgren_chriss_parameters", "impact_curve")
    assert "in alpha" in text
    assert width_px > 400


def test_a_day_is_materialised_by_click(site: Site) -> None:
    materialise_latest_day(site.page, site.address, "alpha/vwap_bars")


def test_a_backfill_of_two_days_ends_in_success(site: Site) -> None:
    days = [(datetime.now(UTC).date() - timedelta(days=n)).isoformat() for n in (3, 2)]
    assets = [{"path": ["alpha", stage]} for stage in ("vwap_bars", "impact_statistics")]
    launched = ask(
        site.address,
        "mutation Launch($wanted: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $wanted) {"
        " ... on LaunchBackfillSuccess { backfillId } } }",
        {"wanted": {"assetSelection": assets, "partitionNames": days}},
    )
    backfill = launched["launchPartitionBackfill"]["backfillId"]

    def status() -> str:
        query = (
            "query Status($id: String!) { partitionBackfillOrError(backfillId: $id) {"
            " ... on PartitionBackfill { status } } }"
        )
        return str(ask(site.address, query, {"id": backfill})["partitionBackfillOrError"]["status"])

    wait_until(lambda: status().startswith("COMPLETED") or status() == "FAILED", within_s=120)
    assert status() == "COMPLETED_SUCCESS"


def ask(address: str, query: str, variables: dict[str, object]) -> dict[str, Any]:
    """Return the data of a GraphQL answer."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return dict(json.load(answer)["data"])
