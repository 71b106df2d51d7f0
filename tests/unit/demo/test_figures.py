"""What Prometheus says is held against the database: what differs, is missing or cannot be fails the demo."""

import re

import pytest

from include.demo.boards import QUIET, empty, queries
from include.demo.figures import FIGURES, Figure, compare
from include.stack.layout import REPOSITORY
from pipeline.domain.facts import FAMILIES


class Prometheus:
    """Answers as told, by expression."""

    def __init__(self, **said):
        self.said, self.asked = said, []

    def number(self, expr):
        self.asked.append(expr)
        return self.said.get(expr)


def wrong(figure, *, prometheus, database=None):
    compared = compare(Prometheus(one=prometheus), lambda sql: [(database,)], 60, [figure])
    assert compared.seen == {figure.name: prometheus}
    return compared.wrong


KEPT, MEASURED = Figure("accuracy", "one", "SELECT 1"), Figure("p99", "one", least=0.1, most=5)


@pytest.mark.parametrize(("seen", "kept"), [(0.9, 0.9), (0, 0), (1 / 3, 0.333333333333333)])
def test_what_both_say_is_right(seen, kept):
    assert wrong(KEPT, prometheus=seen, database=kept) == ()


@pytest.mark.parametrize(("seen", "kept"), [(0.9, 0.91), (None, 0.9), (0.9, None), (None, None), (float("nan"), 0.9)])
def test_what_they_do_not_both_say_is_one_sentence(seen, kept):
    assert wrong(KEPT, prometheus=seen, database=kept) == (
        f"accuracy is {seen} in Prometheus and {kept} in the database",
    )


@pytest.mark.parametrize(("seen", "right"), [(0.1, True), (5, True), (0, False), (6, False), (None, False)])
def test_what_only_prometheus_knows_has_to_be_possible(seen, right):
    assert (wrong(MEASURED, prometheus=seen) == ()) is right


def test_downtime_is_asked_of_the_time_that_the_first_model_serves():
    prometheus = Prometheus()
    compare(prometheus, lambda sql: [], 123.4, [figure for figure in FIGURES if figure.name == "downtime_seconds"])
    assert prometheus.asked == ["sum_over_time(model:faceserve_unavailable:bool{model='laundry'}[123s:5s]) * 5"]


def test_every_row_of_the_specifications_table_is_there():
    """Its words, beside the figures that answer for them."""
    table = (REPOSITORY / "include/spec.md").read_text().partition("## 9. Metrics")[2].partition("## 10.")[0]
    answered = {
        "accuracy (training, validation, test)": ("accuracy_train", "accuracy_validation", "accuracy_test"),
        "loss (training, validation)": ("loss_train", "loss_validation"),
        "F1": ("f1",),
        "confusion matrix": ("confusion_양호_called_불량", "confusion_불량_called_양호"),
        "AUC-ROC": ("auc_roc",),
        "frequency a week and month": ("deployments",),
        "success rate": ("deployment_success_rate",),
        "frequency of rollbacks": ("rollbacks",),
        "downtime (goal 0 s)": ("downtime_seconds",),
        "inference latency (p50, p95, p99)": ("latency_p50_seconds", "latency_p95_seconds", "latency_p99_seconds"),
        "throughput": ("throughput_per_second",),
        "error rate": ("error_rate",),
        "live accuracy": (
            *("live_accuracy_state_known", "live_confirmations", "live_accuracy", "live_confirmations_blind"),
            *(f"live_accuracy_{kind}_{end}" for kind in ("observed", "blind") for end in ("low", "high")),
        ),
        "CPU, memory and GPU use": ("processor_cores", "memory_bytes"),
        "correction rate (falling is good)": ("correction_rate",),
        "approval rate of tasks": ("approval_rate",),
        "satisfaction of helpers": ("verdicts_that_stood",),
        "time a branch manager spends checking": ("reviews_timed", "review_seconds"),
    }
    rows = re.findall(r"^\| \w[\w ]+ \| (.+) \|$", table, re.MULTILINE)[1:]
    words = {word for row in rows for word in re.split(r", (?![^(]*\))(?!memory)", row)}
    assert words == set(answered)
    assert {name for names in answered.values() for name in names} <= {figure.name for figure in FIGURES}


def test_figures_are_asked_of_facts_that_are_told():
    asked = {name for figure in FIGURES for name in re.findall(r"\bretraining_([a-z_0-9]+)", figure.expr)}
    assert len(asked) > 8
    assert asked - set(FAMILIES) == set()


def test_what_may_be_unknown_is_so_in_both_or_in_none():
    figure = Figure("live_accuracy", "one", "SELECT 1", may_be_unknown=True)
    assert wrong(figure, prometheus=None, database=None) == ()
    assert wrong(figure, prometheus=0.9, database=0.9) == ()
    assert wrong(figure, prometheus=1.0, database=None) and wrong(figure, prometheus=None, database=0.9)


class Boards:
    """A Prometheus that has no series for queries with this in them."""

    def __init__(self, lacking):
        self.lacking = lacking

    def query(self, expr):
        return [] if self.lacking in expr else [({}, 1.0)]


@pytest.mark.parametrize(
    "query", [q for q in queries() if q.kind != "annotation"], ids=lambda q: f"{q.place}: {q.expr[:60]}"
)
def test_each_line_of_a_panel_and_each_variable_has_to_show_something(query):
    """Also a line of a panel whose others do."""
    missing = empty(Boards(query.filled))
    assert (query in missing) is (query.quiet is None)


def test_few_panels_may_be_empty_and_each_has_a_reason():
    places = {query.place for query in queries() if query.kind == "panel"}
    assert set(QUIET) <= places and len(QUIET) <= 14 < len(places) / 3
    assert all(len(reason.split()) >= 2 for reason in QUIET.values())
