"""Which candidates may serve: the specification's floors, and what comes of them."""

import math
from dataclasses import replace

import pytest

from pipeline.domain.blessing import Verdict, WhenInconclusive, conclude
from pipeline.domain.checks import AccuracyMeasurement, Outcome, accuracy, failed_floors, negative_flips
from pipeline.domain.comparison import ComparisonPolicy
from pipeline.domain.verification import VerificationPolicy
from tests.builders import a_performance, a_photo, predictions

LABELS = ("양호", "불량")
POLICY = VerificationPolicy(comparison=ComparisonPolicy(min_holdout_photos=50, max_negative_flips=0.2))
FLOORS, APPROVAL = WhenInconclusive.FLOORS, WhenInconclusive.APPROVAL


def measured(good=(96, 4), bad=(96, 4), holdout=(95, 5), champion=(90, 10)):
    """`champion` is right and wrong so often on each class; on the holdout it is as good as the candidate."""
    validation = (*predictions(*good), *predictions(*bad, label="불량", start=1000))
    champions = None
    if champion is not None:
        kept = sum(good), sum(bad)
        champions = (
            *predictions(*champion)[: kept[0]],
            *predictions(*champion, label="불량", start=1000)[: kept[1]],
        )
    return AccuracyMeasurement(
        champion_version="v1.0.0" if champion else None,
        validation=validation,
        holdout=predictions(*holdout, start=5000),
        champion_validation=champions,
        champion_holdout=predictions(*holdout, start=5000) if champion else None,
        trainer={p.task_id: p.predicted for p in validation},
    )


def judged(found, labels=LABELS, policy=POLICY):
    photos = {p.task_id: a_photo(int(p.task_id[5:]), label=p.label) for p in (*found.validation, *found.holdout)}
    return policy.judge_accuracy(found, labels, photos)


def concluded(found=None, performance=None, labels=LABELS, when=FLOORS, policy=POLICY):
    checks = (
        *judged(found or measured(), labels, policy),
        *policy.judge_performance(performance or a_performance()),
    )
    return conclude(checks, labels, when_inconclusive=when)


def reasons(*values, **named):
    return concluded(*values, **named).reasons


def test_a_better_candidate_is_accepted():
    assert concluded().accepted and reasons() == ()


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ({"good": (91, 9), "bad": (88, 12), "champion": (80, 20)}, "validation_accuracy 0.895"),
        ({"holdout": (87, 13)}, "holdout_accuracy 0.87"),
        ({"good": (89, 11), "bad": (99, 1), "champion": (80, 20)}, "class_accuracy.양호 0.89"),
        ({"champion": (97, 3)}, "more than 0.9700 of champion v1.0.0 needed"),
        ({"champion": (96, 4)}, "more than 0.9600 of champion v1.0.0 needed"),
        ({"bad": (0, 0)}, "class_accuracy.불량 could not be measured"),
        ({"holdout": (0, 0)}, "holdout_accuracy could not be measured"),
    ],
)
def test_each_accuracy_condition_refuses_alone_and_says_why(change, objection):
    assert any(objection in reason for reason in reasons(measured(**change)))


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ({"mean_latency_ms": 200.1}, "mean_latency_ms 200.1, ≤ 200 needed"),
        ({"memory_bytes": 2_000_000_001}, "memory_bytes"),
        ({"throughput_per_second": 49.9}, "throughput_per_second 49.9, ≥ 50 needed"),
        ({"gpu_utilization": 0.81}, "gpu_utilization 0.81"),
        ({"mean_latency_ms": math.nan}, "mean_latency_ms could not be measured"),
        ({"throughput_per_second": math.inf}, "throughput_per_second could not be measured"),
        ({"requests": 0}, "mean_latency_ms could not be measured"),
    ],
)
def test_each_performance_condition_refuses_alone_and_says_why(change, objection):
    found = reasons(performance=a_performance(**change))
    assert any(objection in reason for reason in found)
    assert all("accuracy" not in reason for reason in found)


def test_a_latency_says_how_slow_the_slowest_are():
    (check, *_) = POLICY.judge_performance(a_performance(mean_latency_ms=30, p95_latency_ms=81.25))
    assert check.reason == "mean_latency_ms 30, ≤ 200 needed (n=1000); 95 of 100 answers within 81.25 ms"


def test_values_exactly_on_the_bar_pass():
    exact = a_performance(mean_latency_ms=200, throughput_per_second=50, memory_bytes=2_000_000_000)
    assert reasons(measured(good=(90, 10), bad=(90, 10), holdout=(88, 12), champion=(80, 20)), exact) == ()


def test_a_model_that_always_says_the_same_is_refused():
    constant = measured(good=(100, 0), bad=(0, 100), champion=(30, 70))
    assert any("class_accuracy.불량 0," in reason for reason in reasons(constant))


def test_no_gpu_is_said_and_no_objection():
    check = POLICY.judge_performance(a_performance(gpu_utilization=None))[-1]
    assert (check.outcome, check.reason) == (Outcome.NOT_MEASURED, "not measured: no GPU")


def test_the_first_model_needs_no_champion_but_every_floor():
    assert reasons(measured(champion=None)) == ()
    assert reasons(measured(champion=None, holdout=(80, 20))) != ()


def test_a_champion_measured_on_other_photos_proves_nothing():
    other = replace(measured(), champion_validation=None, champion_fault="its artifact is gone")
    assert any("not measured on the same photos: its artifact is gone" in reason for reason in reasons(other))
    assert unmeasured(other) == ["better_than_champion"]


def unmeasured(found):
    return [check.name for check in failed_floors(judged(found)) if not check.measured]


@pytest.mark.parametrize(("turned", "refused"), [(4, False), (12, True)])
def test_a_server_that_surely_disagrees_with_the_trainer_is_refused_but_not_for_a_hair(turned, refused):
    """Of 200 photos: rounding turns a few, another preprocessing turns many."""
    found = measured()
    said = dict(found.trainer)
    for task in list(said)[:turned]:
        said[task] = "불량" if said[task] == "양호" else "양호"
    assert any("server and trainer" in r for r in reasons(replace(found, trainer=said))) is refused


def test_a_photo_the_trainer_said_nothing_about_is_no_agreement():
    said = dict(list(measured().trainer.items())[1:])
    incomplete = replace(measured(), trainer=said)
    assert any("the trainer said nothing of 1 photos" in reason for reason in reasons(incomplete))
    assert unmeasured(incomplete) == unmeasured(replace(measured(), trainer=None)) == ["serving_agrees_with_training"]


def in_bursts_of(ten, found):
    """As if each garment had been photographed so often."""
    photos = {
        p.task_id: a_photo(int(p.task_id[5:]), label=p.label, cluster_id=f"{int(p.task_id[5:]) // ten}")
        for p in (*found.validation, *found.holdout)
    }
    return {check.name: check for check in POLICY.judge_accuracy(found, LABELS, photos)}


def test_photos_of_one_garment_make_no_figure_surer():
    apart, bursts = in_bursts_of(1, measured()), in_bursts_of(10, measured())
    for name in ("validation_accuracy", "holdout_accuracy", "class_accuracy.양호"):
        assert bursts[name].value == apart[name].value
        assert bursts[name].support == apart[name].support / 10 and not bursts[name].enough
        assert bursts[name].low < apart[name].low and bursts[name].high > apart[name].high
    assert (bursts["serving_agrees_with_training"].support, apart["serving_agrees_with_training"].support) == (20, 200)


def test_an_empty_configuration_is_refused():
    assert "no labels configured" in conclude((), (), when_inconclusive=FLOORS).reasons


def test_the_comparison_with_the_champion_cannot_be_left_out():
    found = measured()
    photos = {p.task_id: a_photo(1) for p in (*found.validation, *found.holdout)}
    checks = [c for c in POLICY.judge_accuracy(found, LABELS, photos) if c.name != "negative_flips"]
    checks += POLICY.judge_performance(a_performance())
    assert "negative_flips was not measured" in conclude(checks, LABELS, when_inconclusive=FLOORS).reasons


# Too few photos


FEW = {"good": (28, 2), "bad": (27, 3), "champion": (24, 6)}


def test_a_floor_met_on_few_photos_is_unsure_and_the_setting_decides():
    by_floors, by_person = concluded(measured(**FEW)), concluded(measured(**FEW), when=APPROVAL)
    assert by_floors.accepted and not by_person.accepted and by_person.held
    assert "class_accuracy.불량 0.9 rests on only 30 photos" in by_floors.doubts


def test_a_floor_missed_on_few_photos_is_no_proof_of_a_bad_model_but_the_floors_refuse_it():
    missed = measured(**{**FEW, "bad": (26, 4)})
    by_floors, by_person = concluded(missed), concluded(missed, when=APPROVAL)
    assert not by_floors.accepted and not by_floors.held
    assert by_person.held and any("class_accuracy.불량 0.8667" in reason for reason in by_person.reasons)


def test_a_floor_missed_on_many_photos_is_refused_whoever_decides():
    missed = measured(bad=(80, 20), champion=(70, 30))
    for when in (FLOORS, APPROVAL):
        found = concluded(missed, when=when)
        assert not found.accepted and not found.held


def test_the_three_verdicts_have_names():
    assert [str(v) for v in Verdict] == ["promote", "reject", "inconclusive"]


# Arithmetic


def test_accuracy_of_nothing_is_not_a_number():
    assert math.isnan(accuracy(()))


def test_negative_flips_are_the_photos_only_the_champion_got_right():
    assert negative_flips(predictions(1, 2), predictions(2, 1)) == ("TASK-00001",)


def test_other_thresholds_have_another_hash():
    assert POLICY.sha256() != VerificationPolicy(min_holdout_accuracy=0.9).sha256()
    assert VerificationPolicy().sha256() != replace(POLICY, comparison=ComparisonPolicy(margin=0.02)).sha256()
