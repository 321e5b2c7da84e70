"""The rule that nothing is skipped silently, on small runs of its own."""

import pytest

pytest_plugins = ["pytester"]

_CANNOT = "from tests.what_cannot_run import cannot_run, need_program\n"


def _run(pytester: pytest.Pytester, body: str) -> pytest.RunResult:
    pytester.makepyfile(body)
    plugins = ("tests.what_cannot_run", "no:cacheprovider", "no:hypothesispytest")
    return pytester.runpytest_inprocess(*(word for plugin in plugins for word in ("-p", plugin)))


@pytest.fixture(autouse=True)
def _on_a_developers_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


def test_what_a_machine_lacks_is_listed_with_its_reason(pytester: pytest.Pytester) -> None:
    result = _run(pytester, _CANNOT + "def test_a(): cannot_run('no browser; install chromium')\ndef test_b(): pass")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*what this machine cannot run*", "*::test_a: no browser; install chromium"])


def test_in_ci_it_fails_the_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    result = _run(pytester, _CANNOT + "def test_a(): cannot_run('no browser')")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["CI=true: a test that cannot run fails the run"])


@pytest.mark.parametrize(
    "body",
    [
        "import pytest\ndef test_a(): pytest.skip('later')",
        "import pytest\n@pytest.mark.skip(reason='later')\ndef test_a(): pass",
        "import pytest\npytest.skip('later', allow_module_level=True)",
        "import pytest\n@pytest.mark.xfail(reason='later')\ndef test_a(): assert False",
        "import pytest\n@pytest.mark.xfail(reason='later')\ndef test_a(): pass",
    ],
)
def test_any_other_skip_fails_the_run_everywhere(pytester: pytest.Pytester, body: str) -> None:
    result = _run(pytester, body + "\ndef test_b(): pass")
    assert result.ret in {1, pytest.ExitCode.NO_TESTS_COLLECTED}
    result.stdout.fnmatch_lines(["*skipped without a right to*", "*later*"])


def test_a_run_without_skips_says_nothing(pytester: pytest.Pytester) -> None:
    result = _run(pytester, "def test_b(): pass")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*cannot run*")


def test_the_first_installed_program_is_taken(pytester: pytest.Pytester) -> None:
    body = "def test_a(): assert need_program('no-such-program', 'sh', reason='no shell').endswith('/sh')\n"
    missing = "def test_b(): need_program('no-such-program', reason='no such program')"
    result = _run(pytester, _CANNOT + body + missing)
    result.assert_outcomes(passed=1, skipped=1)
