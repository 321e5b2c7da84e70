"""What the steps of one calibration find out, in one place: values with intervals, reasons, flags, diagnostics.

identification.py and identified_gamma.py fill it; optimization/parameters.py makes the result of it.
"""

from dataclasses import dataclass, field

from tributary_pipelines.analytics.calibration.resampling import Measured


@dataclass(slots=True)
class Findings:
    """The findings of one calibration.

    Parameters
    ----------
    values : dict
        Identified parameters by name, in the units of core.units.PARAMETER_UNITS.
    reasons : list of str
        Why the others are missing, each beginning with the parameter's name.
    flags : list of str
        Warnings that refuse nothing by themselves.
    diagnostics : dict
        Further columns of the result, None where unknown.
    """

    values: dict[str, Measured] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    diagnostics: dict[str, float | None] = field(default_factory=dict)

    def refuse(self, name: str, reason: str, flag: str | None = None) -> None:
        """Note why a parameter is missing."""
        self.values.pop(name, None)
        self.reasons.append(f"{name}: {reason}")
        self.flag(flag or "", when=flag is not None)

    def flag(self, name: str, *, when: bool) -> None:
        """Raise a flag, once."""
        if when and name not in self.flags:
            self.flags.append(name)
