"""pre-commit and CI call only what a developer calls."""

import subprocess
import sys

import yaml

from tests.deployment.compose_file import ROOT


def _targets() -> set[str]:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    return {line.partition(":")[0] for line in lines if ":" in line and not line.startswith(("\t", ".", "#"))}


def test_hooks_call_make_targets_and_fetch_nothing() -> None:
    file = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in file["repos"]] == ["local"]
    hooks = [hook for repository in file["repos"] for hook in repository["hooks"]]
    assert hooks
    for hook in hooks:
        assert hook["language"] == "system"
        command, target = hook["entry"].split()
        assert command == "make"
        assert target in _targets()


def test_precommit_accepts_the_file() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-config", str(ROOT / ".pre-commit-config.yaml")]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
