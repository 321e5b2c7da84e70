"""Runs of the pipeline in processes of their own, which can be killed at any point.

Started from a fork server that has imported everything and opened nothing, so that what is killed is the run.
"""

import multiprocessing
import os
from datetime import date
from multiprocessing.process import BaseProcess
from pathlib import Path

import dagster as dg

from tests.defs.small_pipeline import run

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.integration.killed_runs"])


def start_run(file: Path, first: date, last: date) -> BaseProcess:
    """Start a run of all stages over these days in a process of its own, recorded in memory."""
    process = _CONTEXT.Process(target=_run, args=(file, first, last), daemon=True)
    process.start()
    return process


def _run(file: Path, first: date, last: date) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        done = run(file, instance, first, last)
        # At once: what a process does on its way out is not part of the run.
        os._exit(0 if done.success else 1)
