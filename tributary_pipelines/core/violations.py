"""Every violation that pydantic found, in words: where it is, what is wrong, and the nearest known key."""

from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError


def explain_violations(model: type[BaseModel], error: ValidationError) -> str:
    """Return all violations of a model in one line; values are never repeated, they may be secrets."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(_explain(model, problem) for problem in problems)


def _explain(model: type[BaseModel], problem: Any) -> str:
    location = ".".join(str(part) for part in problem["loc"])
    if problem["type"] != "extra_forbidden":
        return f"{location}: {problem['msg']}" if location else str(problem["msg"])
    known = _known_keys(model, problem["loc"][:-1])
    near = get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(sorted(known))}"
    return f"unknown key '{location}'; {hint}"


def _known_keys(model: type[BaseModel], parents: tuple[Any, ...]) -> list[str]:
    keys: type[BaseModel] | None = model
    for part in parents:
        # A number or the key of a mapping leads into the same section.
        field = keys.model_fields.get(str(part)) if keys else None
        keys = _section_of(field.annotation) if field else keys
    return sorted(keys.model_fields) if keys else []


def _section_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        section = _section_of(argument)
        if section is not None:
            return section
    return None
