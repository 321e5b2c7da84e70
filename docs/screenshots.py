"""Takes the pictures of the UI that the README and the docs show, from the demo's own instance.

Run by ``make screenshots`` alone, never by tests: a picture changes with every day's dates, and each change is a
commit that somebody should want.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from tests.integration.dagster_ui import materialise_latest_day, open_browser, show_lineage, show_picture, show_plots
from tests.integration.processes import clean_environment, free_port, running, wait_until

IMAGES = Path(__file__).parent / "images"
INSTRUMENT = "demo_liquid"
PARAMETERS = "almgren_chriss_parameters"
STAGES = ("market_data", "vwap_bars", "impact_statistics", PARAMETERS, "execution_plans", "execution_simulations")


def take_screenshots(page: Page, address: str) -> None:
    """Visit the pages and save one picture of each."""
    show_lineage(page, address, STAGES)
    _save(page, "lineage")
    page.goto(f"{address}/assets/{INSTRUMENT}/{PARAMETERS}?view=lineage&lineageScope=neighbors&lineageDepth=2")
    page.locator("foreignObject").get_by_text("execution_plans").first.wait_for()
    _save(page, "market_lineage")
    show_plots(page, address, f"{INSTRUMENT}/{PARAMETERS}", "sigma")
    page.set_viewport_size({"width": 1440, "height": 1150})
    page.get_by_text("eta_ci_high", exact=True).first.evaluate("heading => heading.scrollIntoView({block: 'start'})")
    _save(page, "parameter_history")
    page.set_viewport_size({"width": 1440, "height": 900})
    show_picture(page, address, f"{INSTRUMENT}/{PARAMETERS}", "impact_curve")
    _save(page, "impact_curve")
    materialise_latest_day(page, address, f"{INSTRUMENT}/vwap_bars")
    page.reload()
    page.get_by_text("RUN_SUCCESS").wait_for()
    _save(page, "run")


def _save(page: Page, name: str) -> None:
    # Graphs and charts move into their places for a second.
    page.wait_for_timeout(2_000)
    page.screenshot(path=IMAGES / f"{name}.png")


def main(folder: Path) -> int:
    """Start the UI of the demo's folder and a browser, and take the pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.stderr.write("error: no browser on this machine; install Debian's package chromium\n")
        return 1
    IMAGES.mkdir(exist_ok=True)
    port = str(free_port())
    with tempfile.TemporaryDirectory() as profile:
        command = ["tributary", "ui", "--port", port]
        logs = Path(profile)
        with running(command, environment=clean_environment(), folder=folder, log_folder=logs) as program:
            wait_until(lambda: "Tributary UI: " in program.output(), within_s=120, programs=[program])
            with open_browser(chromium, Path(profile) / "browser") as page:
                take_screenshots(page, f"http://127.0.0.1:{port}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
