"""``python -m tributary_pipelines`` is the ``tributary`` command."""

from tributary_pipelines.cli.main import main

if __name__ == "__main__":
    main()
