"""Starts real programs for tests: each in a session of its own, its output in a file, ended with all its children."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Program:
    """A running program and the file that its output goes to."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def output(self) -> str:
        """Return what it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def clean_environment(**more: str) -> dict[str, str]:
    """Return an environment with the venv's programs first and nothing of Tributary's or Dagster's from outside."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TRIBUTARY_", "DAGSTER_"))}
    return {**kept, "PATH": f"{_BIN}:{os.environ['PATH']}", **more}


@contextmanager
def running(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path, log_folder: Path | None = None
) -> Iterator[Program]:
    """Run a program until the block ends; SIGTERM first, then whatever is left of its session is killed."""
    name = f"{Path(command[0]).name}-{time.monotonic_ns()}"
    log = (log_folder or folder) / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command), cwd=folder, env=dict(environment), stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield Program(name, process, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)


def wait_until(is_done: Callable[[], bool], *, within_s: float, programs: Sequence[Program] = ()) -> None:
    """Wait until a condition holds; fail with the programs' output when time is up or one of them has ended."""
    deadline = time.monotonic() + within_s
    while not is_done():
        ended = [program.name for program in programs if program.process.poll() is not None]
        if ended or time.monotonic() > deadline:
            said = "\n".join(f"--- {program.name}\n{program.output()[-4000:]}" for program in programs)
            raise AssertionError(f"{f'ended early: {ended}' if ended else f'not within {within_s:g} s'}\n{said}")
        time.sleep(0.3)


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
