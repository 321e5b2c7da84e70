"""``tributary init``: a folder's settings, its instruments, and a home for Dagster. Nothing is ever overwritten."""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tributary_pipelines.cli.options import FILE, Command, json_option
from tributary_pipelines.cli.output import answer

if TYPE_CHECKING:
    from rich.console import Console

    from tributary_pipelines.core.settings import Settings

#: Dagster's instance of a folder, below the folder.
DAGSTER_HOME = Path(".tributary/dagster_home")

_EXAMPLES = """
\b
Examples:
  tributary init                 here
  tributary init my_markets      in a folder, which is made
"""


@click.command("init", cls=Command, epilog=_EXAMPLES)
@click.argument("folder", metavar="[DIR]", type=FILE, default=Path())
@json_option
def init(folder: Path) -> None:
    """Write settings, instruments and a Dagster home; overwrite nothing."""
    written, kept = write_folder(folder)
    plain = {"folder": str(folder.resolve()), "written": written, "kept": kept}
    answer(plain, lambda to: _print_files(to, written, kept))


def write_folder(folder: Path, instruments: str = "instruments.yaml") -> tuple[list[str], list[str]]:
    """Write what a folder lacks; return the names of the files that were written and of those that were kept."""
    templates = {
        "tributary.yaml": "tributary.yaml",
        "instruments.yaml": instruments,
        str(DAGSTER_HOME / "dagster.yaml"): "dagster.yaml",
    }
    written, kept = [], []
    for name, template in templates.items():
        path = folder / name
        if path.exists():
            kept.append(name)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_template(template), encoding="utf-8")
        written.append(name)
    return written, kept


def _template(name: str) -> str:
    return (files("tributary_pipelines.cli") / "templates" / name).read_text(encoding="utf-8")


def dagster_home(settings: "Settings") -> Path:
    """Return the Dagster home of the settings' folder, made when it is missing."""
    home = settings.folder / DAGSTER_HOME
    home.mkdir(parents=True, exist_ok=True)
    path = home / "dagster.yaml"
    if not path.exists():
        path.write_text(_template("dagster.yaml"), encoding="utf-8")
    return home.resolve()


def _print_files(to: "Console", written: list[str], kept: list[str]) -> None:
    for name in written:
        to.print(f"wrote {name}", markup=False)
    for name in kept:
        to.print(f"kept  {name} (it was there already)", markup=False)
    to.print(
        "next: 'tributary import' brings your data in (or 'tributary synth' makes some), then 'tributary analytics "
        "calibrate'; name the markets in instruments.yaml for 'tributary ui'",
        markup=False,
        soft_wrap=True,
    )
