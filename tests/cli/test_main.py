"""The edge of the program: help, the options that work everywhere, exit statuses, one line for every error."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.cli.calling import all_commands, answer_of, call, error_of
from tributary_pipelines import __version__
from tributary_pipelines.cli.main import cli
from tributary_pipelines.cli.options import Invocation
from tributary_pipelines.core.errors import DataError

HEAVY = ("dagster", "pandas", "numpy", "duckdb", "pydantic", "yaml", "rich", "matplotlib", "pyarrow", "psycopg")

PLAN = ("analytics", "plan", "--shares", "100", "--side", "sell", "--horizon", "5d", "--slices", "5")


def test_the_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from tributary_pipelines.cli.main import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass\n"
    )
    code += f"loaded = [name for name in {HEAVY} if name in sys.modules]; sys.exit(str(loaded) if loaded else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "analytics" in done.stdout


@pytest.mark.parametrize("path", all_commands(), ids=" ".join)
def test_every_command_has_a_line_of_help_and_examples(path: tuple[str, ...]) -> None:
    result = call(*path, "--help")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "\b" not in result.stdout
    command: click.Command | None = cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name)
    assert command is not None
    # What a list of commands shows of it on 80 columns.
    line = command.get_short_help_str(limit=66)
    assert line
    assert not line.endswith("...")
    if not isinstance(command, click.Group):
        assert f"tributary {' '.join(path)}" in result.stdout.split("Example", 1)[1]


def examples_of(path: tuple[str, ...]) -> list[list[str]]:
    """The words of every example that a command's help shows, without what the shell and the reader take of them."""
    shown = call(*path, "--help").stdout.replace("\\\n", " ").partition("  Example")[2].partition("\n\n")[0]
    calls = [part for line in shown.splitlines() for part in re.sub(r"(?<=\S) {3,}[a-z].*", "", line).split("&&")]
    return [shlex.split(one)[1:] for one in calls if one.strip().startswith("tributary")]


@pytest.mark.parametrize("path", [(), *all_commands()], ids=" ".join)
def test_every_example_is_understood(path: tuple[str, ...]) -> None:
    examples = examples_of(path)
    groups = {("analytics",), ("store",), ("questdb",)}
    assert examples or path in groups
    for example in examples:
        command: click.Command = cli
        words = example
        context = click.Context(cli, obj=Invocation())
        while isinstance(command, click.Group):
            name, found, rest = command.resolve_command(context, words)
            assert found is not None
            command, words = found, rest
        command.make_context(name, words, parent=context)


@pytest.mark.parametrize("path", [(), *all_commands()], ids=" ".join)
def test_the_options_that_work_everywhere_do(path: tuple[str, ...]) -> None:
    shown = call(*path, "--help").stdout
    for option in ("--config", "--log-level", "--debug", "--version", "--no-color"):
        assert option in shown
    assert call(*path, "--version").stdout == f"tributary {__version__}\n"


@pytest.mark.parametrize("path", [(), ("analytics",), ("store",)], ids=" ".join)
def test_a_group_alone_shows_its_help(path: tuple[str, ...]) -> None:
    result = call(*path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == call(*path, "--help").stdout
    assert error_of(call(*path, "--no-color"), status=2).startswith("error: Missing command")


def test_the_founding_commands_are_there() -> None:
    names = {" ".join(path) for path in all_commands()}
    assert names >= {"init", "demo", "ui", "run", "synth", "import", "export", "store", "questdb", "bars"}
    assert names >= {"store init", "store check", "questdb start", "questdb stop", "questdb status"}
    assert names >= {f"analytics {name}" for name in ("calibrate", "history", "plan", "simulate")}


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("anlytics",), "did you mean 'analytics'"),
        (("analytics", "calibrat"), "did you mean 'calibrate'"),
        (("bars", "--nonsense"), "--nonsense"),
        (("analytics", "calibrate"), "--market"),
        (("analytics", "history", "--market", "m", "--days", "many"), "--days"),
        (("export", "everything", "--market", "m"), "everything"),
        ((*PLAN,), "--sigma"),
        ((*PLAN, "--sigma", "1", "--gamma", "1"), "--eta, --epsilon"),
        ((*PLAN, "--market", "m", "--urgency", "1", "--risk-aversion", "1"), "one of"),
        ((*PLAN, "--market", "m", "--side", "both"), "--side"),
    ],
    ids=str,
)
def test_wrong_usage_exits_2_with_one_line(arguments: tuple[str, ...], said: str) -> None:
    line = error_of(call(*arguments), status=2)
    assert said in line
    assert "--help" in line


def test_the_options_work_before_and_after_the_command(empty: Path) -> None:
    missing = empty / "nowhere.yaml"
    for arguments in (("--config", missing, "store", "check"), ("store", "check", "--config", missing)):
        assert str(missing) in error_of(call(*arguments))


@pytest.mark.usefixtures("empty")
def test_a_debugged_error_shows_its_traceback_and_still_its_line() -> None:
    result = call("store", "check", "--config", "nowhere.yaml", "--debug")
    assert result.exit_code == 1
    assert result.stderr.startswith("Traceback")
    assert result.stderr.splitlines()[-1].startswith("error: settings file nowhere.yaml does not exist")


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (DataError("two\nlines"), "error: two lines"),
        (PermissionError(13, "Permission denied", "/nowhere"), "error: permission denied, /nowhere; check"),
        (ZeroDivisionError("division by zero"), "error: unexpected ZeroDivisionError: division by zero, in "),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_failure_is_one_line(failure: BaseException, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise failure

    monkeypatch.setattr("tributary_pipelines.cli.folder.write_folder", fail)
    assert error_of(call("init")).startswith(said)


@pytest.mark.usefixtures("empty")
def test_an_interrupt_is_said_and_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tributary_pipelines.cli.folder.write_folder", interrupt)
    result = call("init")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("error: interrupted")


@pytest.mark.usefixtures("empty")
def test_shell_completion_prints_a_script_and_names() -> None:
    script = subprocess.run(
        [Path(sys.executable).parent / "tributary"],
        env={"_TRIBUTARY_COMPLETE": "zsh_source", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "compdef" in script.stdout
    asked = {"_TRIBUTARY_COMPLETE": "zsh_complete", "COMP_WORDS": "tributary ana", "COMP_CWORD": "1"}
    names = subprocess.run(
        [sys.executable, "-m", "tributary_pipelines"], env=asked, capture_output=True, text=True, check=True
    )
    assert "analytics" in names.stdout


def test_a_module_call_is_the_same_command(empty: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tributary_pipelines", "bars", "--market", "m"],
        capture_output=True,
        text=True,
        check=False,
        cwd=empty,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: Missing option '--start'")


@pytest.mark.usefixtures("empty")
def test_answers_and_messages_never_mix() -> None:
    result = call("init", "--json")
    assert answer_of(result)["kept"] == []
    assert result.stderr == ""
