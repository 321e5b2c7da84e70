"""Folders for the command line: an empty one, and one whose store holds a calibrated market."""

from pathlib import Path

import pytest

from tests.cli.calling import FIRST_DAY, N_DAYS, answer_of, call


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the current one, and no settings from outside."""
    monkeypatch.delenv("TRIBUTARY_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose embedded store holds one calibrated synthetic market, ``toy``."""
    folder = tmp_path_factory.mktemp("cli-store")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TRIBUTARY_CONFIG", raising=False)
        patch.chdir(folder)
        options = ("--market", "toy", "--days", N_DAYS, "--trades-per-hour", 20, "--seed", 1, "--start", FIRST_DAY)
        answer_of(call("synth", *options, "--json"))
        for as_of in (f"2026-03-{N_DAYS:02d}", f"2026-03-{N_DAYS + 1:02d}"):
            answer_of(call("analytics", "calibrate", "--market", "toy", "--as-of", as_of, "--json"))
    return folder


@pytest.fixture
def stocked(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shared store's folder as the current one; for reading."""
    monkeypatch.delenv("TRIBUTARY_CONFIG", raising=False)
    monkeypatch.chdir(made)
    return made
