"""``tributary init``: complete, loadable, and never in the way of what is there."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from tests.cli.calling import answer_of, call, error_of
from tributary_pipelines.core.settings import CollectionSettings, Settings, load_instruments, load_settings

FILES = ["tributary.yaml", "instruments.yaml", ".tributary/dagster_home/dagster.yaml"]


def keys_of(model: BaseModel, without: tuple[str, ...] = ()) -> dict[str, Any]:
    fields = {name: getattr(model, name) for name in type(model).model_fields if name not in without}
    return {name: keys_of(value) if isinstance(value, BaseModel) else None for name, value in fields.items()}


def only_keys(loaded: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
    return {
        name: only_keys(value, like[name]) if isinstance(value, dict) and like.get(name) else None
        for name, value in loaded.items()
    }


def test_it_writes_every_setting_with_its_default(empty: Path) -> None:
    plain = answer_of(call("init", "--json"))
    assert plain == {"folder": str(empty.resolve()), "written": FILES, "kept": []}
    loaded = load_settings(environment={})
    assert load_instruments(loaded, environment={}) == ()
    defaults = Settings(folder=empty.resolve(), instruments=Path("instruments.yaml"))
    assert loaded == defaults
    wanted = keys_of(defaults, without=("folder",))
    assert only_keys(yaml.safe_load(Path("tributary.yaml").read_text()), wanted) == wanted


@pytest.mark.usefixtures("empty")
def test_every_setting_is_explained() -> None:
    call("init")
    lines = [line for line in Path("tributary.yaml").read_text().splitlines() if ":" in line and "#" not in line]
    bare = {line.split(":")[0].strip() for line in lines}
    headings = {"storage", "analytics", "calibration", "simulation", "planning", "schedule"}
    sections_of_the_collector = set(CollectionSettings.model_fields)
    assert bare <= headings | sections_of_the_collector | {"- {side"}


@pytest.mark.usefixtures("empty")
def test_the_example_instruments_count_as_soon_as_their_marks_are_gone() -> None:
    call("init")
    path = Path("instruments.yaml")
    head, example = path.read_text().split("#\n# instruments:")
    path.write_text(head + "instruments:" + example.replace("\n# ", "\n"))
    (instrument,) = load_instruments(load_settings(environment={}), environment={})
    assert (instrument.name, instrument.market_id) == ("my_market", "0x1234")


@pytest.mark.usefixtures("empty")
def test_what_comes_next_needs_no_command_of_its_own_for_the_store() -> None:
    shown = call("init").stdout
    assert "tributary import" in shown
    assert "store init" not in shown


@pytest.mark.usefixtures("empty")
def test_it_never_overwrites() -> None:
    Path("tributary.yaml").write_text("logging: {level: error}\n")
    plain = answer_of(call("init", "--json"))
    assert plain["kept"] == ["tributary.yaml"]
    assert Path("tributary.yaml").read_text() == "logging: {level: error}\n"
    again = call("init")
    assert again.exit_code == 0
    assert [f"kept  {name}" in again.stdout for name in FILES] == [True] * 3


def test_a_folder_is_made(empty: Path) -> None:
    assert answer_of(call("init", "a/b", "--json"))["folder"] == str(empty.resolve() / "a" / "b")
    assert Path("a/b/instruments.yaml").is_file()


@pytest.mark.usefixtures("empty")
def test_a_place_that_cannot_be_written_is_named() -> None:
    Path("taken").write_text("")
    assert "taken/below" in error_of(call("init", "taken/below"))


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("storag: {}", "did you mean 'storage'"),
        ("analytics: {calibration: {min_trade_required: 5}}", "did you mean 'min_trades_required'"),
        ("storage: {kind: questdb}", "user and password"),
        ("storage: {kind: questdb, user: u, password: '${NOT_SET_ANYWHERE}'}", "NOT_SET_ANYWHERE"),
        ("storage: [", "cannot be read as YAML"),
        ("- a list", "mapping"),
        ("logging:\n  level: info\n  level: error\n", "'level' twice, lines 2 and 3"),
        ("logging: {level: loud}", "logging.level"),
    ],
)
def test_bad_settings_are_one_clear_line(text: str, said: str) -> None:
    Path("tributary.yaml").write_text(text)
    assert said in error_of(call("store", "check"))
