"""What every command shares: the options that work everywhere, the kinds of values, and a group that imports lazily.

Imports click and the standard library alone. Values are checked here as far as their form goes; what they mean is
checked by the requests of core.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tributary_pipelines import __version__

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tributary_pipelines.core.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M", bound="BaseModel")

#: Options whose request field says its unit or role.
_OPTION_OF = {
    "horizon_s": "horizon",
    "latency_s": "latency",
    "n_slices": "slices",
    "n_days": "days",
    "market_id": "market",
}


@dataclass
class Invocation:
    """What the options that work everywhere said, before or after the command's name."""

    config: Path | None = None
    log_level: str | None = None
    debug: bool = False
    no_color: bool = False
    as_json: bool = False

    def settings(self) -> "Settings":
        """Load the settings in force and start logging as they say."""
        from tributary_pipelines.cli.logs import start_logging
        from tributary_pipelines.core.settings import load_settings

        settings = load_settings(self.config)
        level = "debug" if self.debug else self.log_level
        start_logging(settings.logging, level=level, no_color=self.no_color)
        return settings


def invocation() -> Invocation:
    """Return what the options that work everywhere said in this call."""
    return click.get_current_context().find_root().ensure_object(Invocation)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value and parameter.name:
        setattr(context.find_root().ensure_object(Invocation), parameter.name, value)


def _everywhere() -> list[click.Parameter]:
    def option(*names: str, **attributes: Any) -> click.Option:
        return click.Option(names, expose_value=False, is_eager=True, callback=_remember, **attributes)

    levels = click.Choice(["debug", "info", "warning", "error"])
    return [
        option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings; default ./tributary.yaml."),
        option("--log-level", type=levels, help="How much is logged to stderr."),
        option("--debug", is_flag=True, help="Log everything and show tracebacks."),
        option("--no-color", is_flag=True, help="Plain output."),
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_show_version,
            help="Show the version.",
        ),
    ]


def _show_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"tributary {__version__}")
        context.exit()


class _Everywhere(click.Command):
    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._own = list(self.params)
        self.params = [*self._own, *_everywhere()]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options first, those that work everywhere apart."""
        for title, wanted in (("Options", True), ("Everywhere", False)):
            records = [p.get_help_record(ctx) for p in self.get_params(ctx) if (p in self._own) is wanted]
            shown = [record for record in records if record is not None]
            if shown:
                with formatter.section(title):
                    formatter.write_dl(shown)


class Command(_Everywhere):
    """A command that takes the options that work everywhere; its docstring's first line is its help."""


class Group(_Everywhere, click.Group):
    """A group of commands, each named as ``module:attribute`` below cli and imported when it is needed."""

    def __init__(self, name: str, commands: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self._places = dict(commands)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        """Return the names in the order they are documented."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 click's signature
        """Import and return a command, None when there is none of this name."""
        if cmd_name not in self._places:
            return None
        module, attribute = self._places[cmd_name].split(":")
        command: click.Command = getattr(import_module(f"tributary_pipelines.cli.{module}"), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name; a wrong name is answered with the near ones."""
        from difflib import get_close_matches

        if args and args[0] not in self._places:
            near = get_close_matches(args[0], self._places, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"commands: {', '.join(self._places)}"
            ctx.fail(f"no command '{args[0]}'; {hint}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options; without any argument show the help."""
        if not args and not ctx.resilient_parsing:
            click.echo(self.get_help(ctx))
            ctx.exit()
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


class _Value(click.ParamType):  # type: ignore[type-arg] # generic from click 8.2 on
    """A value whose reader raises ValidationError; the message then names the option too."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Read the text of the option."""
        from tributary_pipelines.core.errors import ValidationError

        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValidationError as error:
            option = param.opts[0] if param else self.name
            raise ValidationError(f"{option}: {error}") from None


def _moment(text: str) -> datetime:
    from tributary_pipelines.core.units import day_start, parse_day, parse_time

    is_day = len(text.strip()) == len("2026-03-01")
    return day_start(parse_day(text)) if is_day else parse_time(text)


def _day(text: str) -> date:
    from tributary_pipelines.core.errors import ValidationError
    from tributary_pipelines.core.units import day_start

    moment = _moment(text)
    if moment != day_start(moment.date()):
        raise ValidationError(f"day {text!r} is not a whole UTC day; write it like 2026-03-01")
    return moment.date()


def _seconds(text: str) -> float:
    from tributary_pipelines.core.units import parse_duration

    return parse_duration(text)


#: A moment: an ISO-8601 time with offset, or a UTC day that stands for its 00:00.
MOMENT = _Value("time", _moment)
#: A UTC day.
DAY = _Value("day", _day)
#: A duration such as 90s 30m 1h 5d, in seconds.
DURATION = _Value("duration", _seconds)
FILE = click.Path(path_type=Path)


def json_option(command: F) -> F:
    """Let a command answer in JSON: one document on stdout."""
    option = click.option(
        "--json", "as_json", is_flag=True, expose_value=False, callback=_remember, help="Answer in JSON."
    )
    return option(command)


def market_options(command: F) -> F:
    """Give a command ``--market`` and ``--token``."""
    command = click.option("--token", metavar="ID", help="Token; default the market's first.")(command)
    return click.option("--market", required=True, metavar="M", help="Market id, slug or series id.")(command)


def window_options(command: F) -> F:
    """Give a command ``--start`` (inclusive) and ``--end`` (exclusive)."""
    end = click.option("--end", type=MOMENT, required=True, help="End, exclusive.")
    start = click.option("--start", type=MOMENT, required=True, help="Start: 2026-03-01T12:00:00Z, or a UTC day.")
    return start(end(command))


def build_request(model: type[M], **values: Any) -> M:
    """Build a checked request; what breaks its rules is named as the option it came from.

    Raises
    ------
    ValidationError
        Values break a rule; every violation is listed.
    """
    from pydantic import ValidationError as PydanticError

    from tributary_pipelines.core.errors import ValidationError

    try:
        return model.model_validate(values)
    except PydanticError as error:
        problems = error.errors(include_input=False, include_url=False)
        raise ValidationError("; ".join(_violation(problem) for problem in problems)) from None


def _violation(problem: Mapping[str, Any]) -> str:
    if not problem["loc"]:
        return str(problem["msg"]).removeprefix("Value error, ")
    field = str(problem["loc"][-1])
    return f"--{_OPTION_OF.get(field, field).replace('_', '-')}: {problem['msg']}"


def check_window(start: datetime | date, end: datetime | date) -> None:
    """Refuse a window that holds nothing.

    Raises
    ------
    ValidationError
        The end is not after the start.
    """
    from tributary_pipelines.core.errors import ValidationError

    if end <= start:
        raise ValidationError(
            f"--end {end.isoformat()} is not after --start {start.isoformat()}; starts are inclusive, ends exclusive"
        )
