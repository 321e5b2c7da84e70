"""The code location: everything that the component instances under defs/ define.

Nothing is read at import; the settings and the instruments are read when Dagster loads the definitions.
"""

import warnings
from pathlib import Path

import dagster as dg

from tributary_pipelines import defs as defs_folder


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of all component instances in defs/."""
    with warnings.catch_warnings():
        # Known and tested; nobody who reads a log can act on them.
        for category in (dg.BetaWarning, dg.PreviewWarning):
            warnings.simplefilter("ignore", category)
        # Not load_from_defs_folder: it looks for a pyproject.toml, which an installed wheel does not have.
        tree = dg.ComponentTree.from_module(defs_module=defs_folder, project_root=Path(__file__).parents[1])
        return tree.build_defs()
