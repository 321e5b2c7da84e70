"""The component in YAML: inline instruments, and the dg commands on this project and on one of the user's own."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest

from tests.integration.processes import clean_environment
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.defs.component import MarketPipelines
from tributary_pipelines.defs.stages import asset_key

ROOT = Path(__file__).parents[2]
COMPONENT = "tributary_pipelines.defs.component.MarketPipelines"
INLINE = {
    "name": "crypto",
    "tables": False,
    "instruments": [
        {"name": "btc", "market_id": "BTC", "orders": [{"side": "buy", "shares": 1, "horizon": "1h", "slices": 2}]},
        {"name": "hourly", "series_id": "S"},
    ],
}


def build(attributes: dict[str, object]) -> dg.Definitions:
    component = MarketPipelines.resolve_from_dict(attributes)
    return component.build_defs(dg.ComponentTree.for_test().load_context)


def test_inline_instruments_become_assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keys = build(INLINE).resolve_all_asset_keys()
    assert {asset_key("btc", "vwap_bars"), asset_key("hourly", "execution_plans")} <= set(keys)


@pytest.mark.parametrize(
    ("instruments", "said"),
    [
        ([{"name": "a", "market": "A"}], "market"),
        ([{"name": "a"}], "exactly one of market_id and series_id"),
        ([{"name": "A:b", "market_id": "A"}], "pattern"),
        ([{"name": "a", "market_id": "A"}] * 2, "given twice: a"),
    ],
)
def test_a_broken_instrument_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instruments: list[dict[str, str]], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, ValidationError, dg.DagsterError), match=said):
        build({**INLINE, "instruments": instruments})


def dg_command(folder: Path, *words: str, home: Path) -> "subprocess.CompletedProcess[str]":
    """Run a dg command as a user would."""
    environment = clean_environment(DAGSTER_HOME=str(home), PYTHONPATH=str(folder), COLUMNS="200")
    command = [str(Path(sys.executable).parent / "dg"), *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    return home


@pytest.mark.integration
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "components"], COMPONENT),
        (["check", "yaml"], "All component YAML validated successfully."),
        (["check", "defs"], "All definitions loaded successfully."),
    ],
)
def test_dg_knows_this_project(home: Path, words: Sequence[str], said: str) -> None:
    done = dg_command(ROOT, *words, home=home)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout + done.stderr


@pytest.mark.integration
def test_a_project_of_ones_own_starts_a_group_from_the_component(tmp_path: Path, home: Path) -> None:
    project = tmp_path / "project"
    (project / "mine" / "defs").mkdir(parents=True)
    (project / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "mine"\n', encoding="utf-8"
    )
    for package in ("mine", "mine/defs"):
        (project / package / "__init__.py").touch()
    scaffolded = dg_command(project, "scaffold", "defs", COMPONENT, "weather", home=home)
    assert scaffolded.returncode == 0, scaffolded.stderr
    written = project / "mine" / "defs" / "weather" / "defs.yaml"
    assert "name: weather_example" in written.read_text(encoding="utf-8")
    assert dg_command(project, "check", "yaml", home=home).returncode == 0
    broken = written.read_text(encoding="utf-8").replace("market_id:", "market:")
    written.write_text(broken, encoding="utf-8")
    refused = dg_command(project, "check", "yaml", home=home)
    assert refused.returncode != 0
    assert "weather/defs.yaml:6" in refused.stdout + refused.stderr
