"""`include/studies/performance.md`: every figure beside its bar, out of what was measured last."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from include.bench.bars import BARS, DEMO, Bar

PAGE = "performance.md"
Results = Mapping[str, Mapping[str, Any]]
_BUSY = 1.0
_HEAD = """# Figures and bars

`python -m include.bench performance` writes this page out of what was measured last: by `python -m include.bench run …`
(`.bench/results.json`), by `make bench-rollback`, and by `make demo` (`.stack/demo-report.json`). It measures nothing
itself, and says *not measured* where there is no result. A figure that was taken while the machine did other things is
marked *busy*: it is no better than that.

"""
_TABLE = "| what | bar | measured | reached | what limits it | when, commit |\n|---|---|---|---|---|---|\n"


def with_demo(results: Results, report: Path) -> Results:
    """The results, and what the demo found as one more of them."""
    if not report.exists():
        return results
    told = json.loads(report.read_text())
    if "measured_at" not in told:
        # Of an earlier version: nobody knows when.
        return results
    figures = {name: value for name, value in told.items() if isinstance(value, int | float)}
    about = {name: told.get(name) for name in ("measured_at", "commit", "load_before")}
    return {**results, DEMO: {"figures": figures, **about}}


def page(results: Results, bars: Sequence[Bar] = BARS) -> str:
    """Markdown for people."""
    machines = sorted({f"{r['cores']} cores of {r['processor']}" for r in results.values() if r.get("processor")})
    where = f"Measured on {'; '.join(machines)}.\n\n" if machines else ""
    return _HEAD + where + _TABLE + "".join(_line(bar, results.get(bar.benchmark)) for bar in bars)


def _line(bar: Bar, result: Mapping[str, Any] | None) -> str:
    value = result["figures"].get(bar.figure) if result else None
    seen, reached, when = "not measured", "–", "–"
    if result and value is not None:
        seen = _with_unit(value, bar.unit)
        reached = {True: "yes", False: "**no**", None: "–"}[bar.reached_by(value)]
        busy = ", busy" if (result.get("load_before") or 0) > _BUSY else ""
        when = f"{result['measured_at'][:10]}, `{result['commit'] or 'no commit'}`{busy}"
    return f"| {bar.what} | {_wanted(bar)} | {seen} | {reached} | {bar.limits} | {when} |\n"


def _wanted(bar: Bar) -> str:
    if bar.at_most is not None:
        return f"≤ {_with_unit(bar.at_most, bar.unit)}"
    return "–" if bar.at_least is None else f"≥ {_with_unit(bar.at_least, bar.unit)}"


def _with_unit(value: float, unit: str) -> str:
    digits = f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"
    return f"{digits} {unit}".strip().replace(" ×", "×")
