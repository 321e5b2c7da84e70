"""Takes the pictures of the UI that the README and the docs show, from the demo's own instance.

Run by ``make screenshots`` alone, never by tests: a picture changes with every day's dates, and each change is a
commit that somebody should want.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from tests.integration.dagster_ui import materialise_latest_day, open_browser, show_lineage, show_plots
from tests.integration.processes import clean_environment, free_port, running, wait_until

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs/images"
INSTRUMENT = "demo_liquid"
STAGES = ("market_data", "vwap_bars", "impact_statistics", "almgren_chriss_parameters", "execution_plans")


def take_screenshots(page: Page, address: str) -> None:
    """Visit the pages and save one picture of each."""
    show_lineage(page, address, STAGES)
    page.screenshot(path=IMAGES / "lineage.png")
    show_plots(page, address, f"{INSTRUMENT}/almgren_chriss_parameters", "sigma")
    # The charts draw themselves in over a second.
    page.wait_for_timeout(1_500)
    page.screenshot(path=IMAGES / "parameter_history.png")
    materialise_latest_day(page, address, f"{INSTRUMENT}/vwap_bars")
    page.get_by_text("Launched run").wait_for(state="hidden")
    page.screenshot(path=IMAGES / "run.png")


def main() -> int:
    """Start the demo's UI and a browser, and take the pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.stderr.write("error: no browser on this machine; install Debian's package chromium\n")
        return 1
    IMAGES.mkdir(exist_ok=True)
    port = str(free_port())
    with tempfile.TemporaryDirectory() as profile:
        command = ["tributary", "ui", "--port", port]
        demo, logs = ROOT / "demo", Path(profile)
        with running(command, environment=clean_environment(), folder=demo, log_folder=logs) as program:
            wait_until(lambda: "Tributary UI: " in program.output(), within_s=120, programs=[program])
            with open_browser(chromium, Path(profile) / "browser") as page:
                take_screenshots(page, f"http://127.0.0.1:{port}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
