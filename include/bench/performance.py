"""`include/studies/performance.md`: every figure beside its bar, out of what was measured last."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from include.bench.bar import DEMO, Bar
from include.bench.bars import BARS

PAGE = "performance.md"
Results = Mapping[str, Mapping[str, Any]]
_BUSY = 1.0
_HEAD = """# Figures and bars

`python -m include.bench performance` writes this page out of what was measured last: by `python -m include.bench run …`
(`.bench/results.json`), by `make bench-rollback`, and by `make demo` (`.stack/demo-report.json`). It measures nothing
itself, and says *not measured* where there is no result, beside it which page has an *earlier* figure, if one has. A
figure that was taken while the machine did other things is marked *busy*: it is no better than that. Where the design
began with a weaker bar, it is named, too; in brackets after a median stands the interval that holds it.

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
    seen, reached, when = _unmeasured(bar), "–", "–"
    if result and value is not None:
        seen = _with_unit(value, bar.unit) + _interval(result["figures"], bar)
        reached = _reached(bar, value)
        busy = ", busy" if (result.get("load_before") or 0) > _BUSY else ""
        when = f"{result['measured_at'][:10]}, `{result['commit'] or 'no commit'}`{busy}"
    return f"| {bar.what} | {_wanted(bar)} | {seen} | {reached} | {bar.limits} | {when} |\n"


def _unmeasured(bar: Bar) -> str:
    return f"not measured; [earlier]({bar.earlier})" if bar.earlier else "not measured"


def _interval(figures: Mapping[str, float], bar: Bar) -> str:
    low, high = (figures.get(f"{bar.figure}_{end}") for end in ("low", "high"))
    return "" if low is None or high is None else f" ({_with_unit(low, '')}–{_with_unit(high, '')})"


def _reached(bar: Bar, value: float) -> str:
    told = {True: "yes", False: "**no**", None: "–"}[bar.reached_by(value)]
    return f"{told}; the design's: yes" if not bar.reached_by(value) and bar.design_reached_by(value) else told


def _wanted(bar: Bar) -> str:
    sign, wanted = ("≤", bar.at_most) if bar.at_least is None else ("≥", bar.at_least)
    if wanted is None:
        return "–"
    design = "" if bar.design is None else f" (design: {sign} {_with_unit(bar.design, bar.unit)})"
    return f"{sign} {_with_unit(wanted, bar.unit)}{design}"


def _with_unit(value: float, unit: str) -> str:
    digits = f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"
    return f"{digits} {unit}".strip().replace(" ×", "×")
