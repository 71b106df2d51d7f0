"""The page of bars: each figure beside what it has to reach; what was not measured is said to be not measured."""

import ast
import json
import re

import pytest
from click.testing import CliRunner

from include.bench.__main__ import main
from include.bench.bar import DEMO, Bar
from include.bench.bars import BARS
from include.bench.registry import BENCHMARKS
from include.stack.layout import REPOSITORY

SWAPS = {"figures": {"requests_failed": 3.0, "deploy_seconds_max": 4.25}, "measured_at": "2026-05-04T10:00:00+00:00"}
ABOUT = {"commit": "abc", "cores": 2, "processor": "a processor", "how": "", "took_seconds": 1}


@pytest.fixture
def page(tmp_path):
    """What the command writes, of these results and this report of a demo."""

    def written(results, demo=None):
        for name, body in (("results.json", results), ("demo.json", demo)):
            if body is not None:
                (tmp_path / name).write_text(json.dumps(body))
        options = {"out": "results.json", "demo": "demo.json", "pages": "pages"}
        arguments = [part for name, path in options.items() for part in (f"--{name}", str(tmp_path / path))]
        done = CliRunner().invoke(main, ["performance", *arguments])
        assert done.exit_code == 0, done.output
        return (tmp_path / "pages" / "performance.md").read_text()

    return written


def row(page, what):
    (line,) = [line for line in page.splitlines() if line.startswith(f"| {what} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_nothing_that_was_not_measured_has_a_figure(page):
    told = page(None)
    assert [row(told, bar.what)[2] for bar in BARS] == ["–"] * len(BARS)
    earlier = [f"not measured; [earlier]({bar.earlier})" if bar.earlier else "not measured" for bar in BARS]
    assert [row(told, bar.what)[1] for bar in BARS] == earlier


def test_the_page_of_the_repository_is_about_the_bars_of_now(page):
    told, kept = page(None), (REPOSITORY / "include/studies/performance.md").read_text()
    assert told.partition("| what |")[0] == kept.partition("| what |")[0]
    for bar in BARS:
        now, then = row(told, bar.what), row(kept, bar.what)
        assert (then[0], then[3]) == (now[0], now[3])
        assert then[1] == now[1] or not then[1].startswith("not measured")


def test_a_figure_stands_beside_its_bar_with_when_it_was_measured_and_whether_it_is_reached(page):
    told = page({"swaps": {**SWAPS, **ABOUT}})
    assert row(told, "deployment on every replica")[:3] == ["≤ 10 s", "4.25 s", "yes"]
    assert row(told, "failed of 105 000 requests over 20 swaps")[:3] == ["≤ 0", "3", "**no**"]
    assert row(told, "deployment on every replica")[4] == "2026-05-04, `abc`"
    assert "2 cores of a processor" in told


def test_what_was_measured_while_the_machine_was_busy_says_so(page):
    told = page({"swaps": {**SWAPS, **ABOUT, "load_before": 7.5}})
    assert row(told, "deployment on every replica")[4] == "2026-05-04, `abc`, busy"


def test_the_demos_report_is_one_of_the_results(page):
    report = {"retraining_seconds": 88.5, "passed": True, "measured_at": "2026-05-04T10:00:00+00:00", "commit": "abc"}
    assert row(page(None, report), "whole run, from trigger to serving")[:3] == ["≤ 90 s", "88.5 s", "yes"]


def test_a_report_that_does_not_say_when_it_was_made_is_none(page):
    assert row(page(None, {"retraining_seconds": 88.5}), "whole run, from trigger to serving")[1] == "not measured"


@pytest.mark.parametrize(("value", "reached"), [(9, False), (10, True), (11, True)])
def test_at_least_is_reached_from_the_bar_on(value, reached):
    assert Bar("", "", "", "", "", at_least=10).reached_by(value) is reached


def test_a_weaker_bar_of_the_design_is_named_and_that_it_alone_was_reached(page):
    measured = {"measured_at": "2026-05-04T10:00:00+00:00", **ABOUT}
    rows = [
        row(page({"swaps-resnet50": {"figures": {"resnet50_deploy_seconds_max": seconds}, **measured}}), what)[:3]
        for what in ("deployment of ResNet50 on every replica",)
        for seconds in (4, 9, 11)
    ]
    assert [bar for bar, *_ in rows] == ["≤ 5 s (design: ≤ 10 s)"] * 3
    assert [reached for *_, reached in rows] == ["yes", "**no**; the design's: yes", "**no**"]


def test_a_median_has_its_interval_beside_it_and_a_worst_repeat_has_none(page):
    name = "p99_ratio_during_swap_small_85_percent"
    figures = {f"{name}_median": 1.08, f"{name}_median_low": 0.97, f"{name}_median_high": 1.31, f"{name}_worst": 1.3}
    told = page({"swap-p99": {"figures": figures, "measured_at": "2026-05-04T10:00:00+00:00", **ABOUT}})
    about = "p99 while a small network changes, beside steady, at 85 % of capacity"
    assert row(told, f"{about}: median of repeats")[1:3] == ["1.08× (0.97–1.31)", "yes"]
    assert row(told, f"{about}: worst repeat")[1:3] == ["1.3×", "**no**"]


@pytest.mark.parametrize("bar", [bar for bar in BARS if bar.design is not None], ids=lambda bar: bar.what)
def test_a_bar_is_never_weaker_than_that_of_the_design(bar):
    wanted = bar.at_least if bar.at_most is None else bar.at_most
    assert bar.design_reached_by(wanted) and not bar.reached_by(bar.design)


def test_every_figure_has_one_bar_and_every_bar_words_of_its_own():
    assert len({bar.what for bar in BARS}) == len(BARS)
    told = [(bar.benchmark, bar.figure) for bar in BARS if bar.benchmark]
    assert len(set(told)) == len(told)


def test_every_bar_is_about_a_figure_that_its_benchmark_has():
    measured = [bar for bar in BARS if bar.benchmark not in {"", DEMO, "rollback"}]
    where = {b.name: REPOSITORY / "include/bench" / b.group / f"{b.where.partition(':')[0]}.py" for b in BENCHMARKS}
    for bar in measured:
        assert _says(where[bar.benchmark], bar.figure), f"{bar.benchmark} has no figure {bar.figure}"


def _says(path, figure):
    """Some names are put together: of a precision, or with the unit at their end, or by `Spread` with what it tells."""
    figure = re.sub("_(median|worst)$", "", figure) if "Spread" in path.read_text() else figure
    texts = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant | ast.JoinedStr)]
    patterns = [_pattern(node) for node in texts]
    return any(re.fullmatch(pattern, figure) for pattern in patterns if len(pattern) > len("events_per"))


def _pattern(node):
    if isinstance(node, ast.Constant):
        return f"(?:\\w+_)?{re.escape(str(node.value))}"
    return "".join(re.escape(part.value) if isinstance(part, ast.Constant) else r"\w+" for part in node.values)
