"""One tree of errors, as drawn in its module."""

import inspect

import pytest

from tributary_pipelines.core import errors


def test_the_tree_is_the_one_that_is_drawn() -> None:
    found = {cls.__name__: cls.__bases__[0].__name__ for _, cls in inspect.getmembers(errors, inspect.isclass)}
    assert found == {
        "TributaryError": "Exception",
        "ConfigurationError": "TributaryError",
        "ValidationError": "TributaryError",
        "DataError": "TributaryError",
        "CalibrationError": "TributaryError",
        "SimulationError": "TributaryError",
        "StorageError": "TributaryError",
        "CollectionError": "TributaryError",
        "AuthenticationError": "CollectionError",
        "RateLimitError": "CollectionError",
    }
    assert all(name in str(errors.__doc__) for name in found)


@pytest.mark.parametrize("name", ["ConfigurationError", "DataError", "RateLimitError"])
def test_every_error_can_be_caught_as_one(name: str) -> None:
    with pytest.raises(errors.TributaryError, match="what, where, what to do"):
        raise getattr(errors, name)("what, where, what to do")
