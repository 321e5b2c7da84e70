"""What a person does in the Dagster UI, done by a real browser: look at lineage, plots and pictures, materialise a day.

The pages are driven by what they show (button texts, headings), never by generated class names.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync"
)
#: A chart hands its data to the drawing library as a property; the canvas itself holds only pixels.
_CHART_DATA = """
() => [...document.querySelectorAll('canvas')].flatMap(canvas => {
  let node = canvas[Object.keys(canvas).find(key => key.startsWith('__reactFiber'))];
  while (node && !node.memoizedProps?.data?.datasets) node = node.return;
  return node ? node.memoizedProps.data.datasets.map(line => [line.label, line.data.map(point => point.y)]) : [];
})
"""
_INK = """
canvas => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size
"""


@contextmanager
def open_browser(chromium: str, profile: Path) -> Iterator[Page]:
    """Open a page of a browser with a profile of its own; it speaks to nobody by itself."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=chromium,
            headless=True,
            args=_FLAGS.split(),
            viewport={"width": 1440, "height": 900},
        )
        context.set_default_timeout(30_000)
        yield context.pages[0]
        context.close()


def show_lineage(page: Page, address: str, groups: Sequence[str]) -> None:
    """Open the global lineage and wait until the box of each group is drawn."""
    page.goto(f"{address}/asset-groups")
    for group in groups:
        # The graph cuts a long name in the middle.
        name = re.compile(f"^{group[:4]}.*{group[-5:]}$")
        expect(page.locator("foreignObject").get_by_text(name).first).to_be_visible(timeout=30_000)


def show_plots(page: Page, address: str, asset: str, metadata_key: str) -> dict[str, list[float | None]]:
    """Open Overview -> Metadata -> Plots of an asset; return what each plot draws, by metadata key."""
    page.goto(f"{address}/assets/{asset}")
    page.get_by_role("button", name="Plots").click()
    page.get_by_text(metadata_key, exact=True).first.scroll_into_view_if_needed()
    canvas = page.locator("canvas").first
    expect(canvas).to_be_visible(timeout=30_000)
    page.wait_for_function("canvas => canvas.width > 0", arg=canvas.element_handle())
    drawn: list[tuple[str, list[Any]]] = page.evaluate(_CHART_DATA)
    assert canvas.evaluate(_INK) > 2, "the plot is empty"
    return dict(drawn)


def show_picture(page: Page, address: str, asset: str, metadata_key: str) -> tuple[str, int]:
    """Open a picture of the newest materialisation: Overview -> Metadata -> Show Markdown; return its text and width.

    The width is that of the decoded picture in pixels, and 0 when the browser could not read it.
    """
    page.goto(f"{address}/assets/{asset}")
    page.get_by_role("button", name="Table").click()
    page.get_by_placeholder("Filter metadata keys").fill(metadata_key)
    row = page.get_by_role("row").filter(has_text=metadata_key)
    row.get_by_text("Show Markdown").click()
    picture = page.get_by_role("dialog").get_by_role("img").last
    expect(picture).to_be_visible()
    page.wait_for_function("picture => picture.complete", arg=picture.element_handle())
    return str(picture.get_attribute("alt")), int(picture.evaluate("picture => picture.naturalWidth"))


def materialise_latest_day(page: Page, address: str, asset: str) -> None:
    """Click Materialize, choose the latest partition, launch, and follow the run until it says Success."""
    page.goto(f"{address}/assets/{asset}")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Latest", exact=True).click()
    dialog.get_by_role("button", name="Launch 1 run").click()
    expect(page.get_by_text("Launched run")).to_be_visible()
    page.get_by_text("View", exact=True).click()
    page.wait_for_url("**/runs/*")
    expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=60_000)
