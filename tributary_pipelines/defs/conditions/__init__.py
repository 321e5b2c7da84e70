"""The conditions that the rows of each stage must hold, as plain functions from rows to what they violate.

Errors would make downstream wrong; warnings are for a person to look at. No Dagster and no reading here, so that a
good and a bad frame are all a test needs. Thresholds are our choice, with the reason beside each.
"""

from tributary_pipelines.defs.conditions.market_data import check_bars, check_statistics, check_table
from tributary_pipelines.defs.conditions.orders import check_plans, check_simulations
from tributary_pipelines.defs.conditions.parameters import check_history, check_parameters
from tributary_pipelines.defs.conditions.violations import Violations, as_list

__all__ = [
    "Violations",
    "as_list",
    "check_bars",
    "check_history",
    "check_parameters",
    "check_plans",
    "check_simulations",
    "check_statistics",
    "check_table",
]
