"""Violations in words: the nearest known key wherever the unknown one sits."""

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from tributary_pipelines.core.violations import explain_violations


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    width: int = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    one: Inner | None = None
    several: tuple[Inner, ...] = ()
    named: dict[str, Inner] = {}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"one": {"wdith": 1}}, "unknown key 'one.wdith'; did you mean 'width'?"),
        ({"several": [{}, {"wide": 1}]}, "unknown key 'several.1.wide'; did you mean 'width'?"),
        ({"named": {"a": {"zzz": 1}}}, "unknown key 'named.a.zzz'; known keys: width"),
        ({"tow": 1}, "unknown key 'tow'; known keys: named, one, several"),
        ({"one": {"width": "x"}, "named": 3}, "one.width: Input should be a valid integer"),
    ],
)
def test_the_nearest_key_is_named_wherever_the_unknown_one_sits(values: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError) as error:
        Outer.model_validate(values)
    assert told in explain_violations(Outer, error.value)
