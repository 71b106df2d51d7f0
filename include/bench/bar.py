"""A figure that the product has to reach."""

from dataclasses import dataclass

DEMO = "demo"
"""What `make demo` writes to its report stands beside what the benchmarks found."""


@dataclass(frozen=True)
class Bar:
    """`at_most` or `at_least`, in `unit`; neither where a figure is only told. `benchmark` is empty where nothing
    measures it yet. `design` is the weaker bar that the design began with, where it had another one. `earlier` is the
    page, seen from the studies, with a figure of before results were kept.
    """

    what: str
    benchmark: str
    figure: str
    unit: str
    limits: str
    at_most: float | None = None
    at_least: float | None = None
    design: float | None = None
    earlier: str = ""

    def reached_by(self, value: float) -> bool | None:
        """None where there is nothing to reach."""
        if self.at_most is None and self.at_least is None:
            return None
        return (self.at_most is None or value <= self.at_most) and (self.at_least is None or value >= self.at_least)

    def design_reached_by(self, value: float) -> bool:
        """False where the design had no bar of its own."""
        if self.design is None:
            return False
        return value >= self.design if self.at_most is None else value <= self.design
