"""What every test shares."""

pytest_plugins = ["tests.what_cannot_run", "tests.stores"]
