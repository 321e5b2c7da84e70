"""Logging of the command line: to stderr only, never to stdout, where answers go.

A rich handler on a terminal, plain lines or JSON lines otherwise; plain progress is the message alone.
Libraries speak from warning on, unless the level is
debug. Tracebacks never show local values: they could hold credentials.
"""

import json
import logging
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tributary_pipelines.core.settings import LoggingSettings


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _PlainLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        is_progress = getattr(record, "is_progress", False)
        return record.getMessage() if is_progress else super().format(record)


def start_logging(settings: "LoggingSettings", *, level: str | None, no_color: bool) -> None:
    """Send the package's log to stderr in the form that the settings say, at ``level`` or theirs."""
    level = level or settings.level
    handler = _handler(settings.format, no_color=no_color)
    package = logging.getLogger("tributary_pipelines")
    package.handlers = [handler]
    package.setLevel(level.upper())
    package.propagate = False
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel("DEBUG" if level == "debug" else "WARNING")
    for noisy in ("matplotlib", "PIL", "asyncio"):
        logging.getLogger(noisy).setLevel("WARNING")


def _handler(form: str, *, no_color: bool) -> logging.Handler:
    if form == "rich" and sys.stderr.isatty():
        from rich.console import Console
        from rich.logging import RichHandler

        console = Console(stderr=True, no_color=no_color)
        return RichHandler(console=console, show_path=False, markup=False, rich_tracebacks=False)
    handler = logging.StreamHandler(sys.stderr)
    formatter = _JsonLines() if form == "json" else _PlainLines("%(asctime)s %(levelname)s %(name)s: %(message)s")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    return handler
