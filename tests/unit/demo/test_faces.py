"""Drawn people before doors, and what the demo of faces promises of them."""

import pytest

from include.demo.drill_faces import add
from include.demo.faces import judge, visits_of
from include.demo.people import DrawnPerson
from include.demo.report import Report

PEOPLE = [DrawnPerson(number) for number in range(60)]
FIGURES = {
    **{"requests_sent": 9, "requests_failed": 0, "unversioned_answers": 0, "deploy_seconds": 4.0},
    **{"rollback_seconds": 2.0, "refused_before": 0.3, "refused_after": 0.1},
}


def test_a_door_has_the_same_photo_for_the_same_shot_and_no_portrait():
    kim, lee = PEOPLE[:2]
    photos = [kim.at_door(1), kim.at_door(2), lee.at_door(1), kim.photo(1)]
    assert len(set(photos)) == 4 and kim.at_door(1) == photos[0] and all(p[:3] == b"\xff\xd8\xff" for p in photos)


def test_most_come_as_themselves_and_a_few_as_somebody_else():
    visits = visits_of(PEOPLE, "1700000000")
    assert len({visit.check_id for visit in visits}) == len({visit.photo for visit in visits}) == len(visits)
    assert {visit.claimed for visit in visits} <= {person.identity for person in PEOPLE}
    themselves = [visit for visit in visits if visit.same]
    assert 30 <= len(themselves) < 60 and 0 < len(visits) - len(themselves) < len(themselves) / 2
    own = {person.identity: person.at_door(1700000000) for person in PEOPLE}
    assert all(visit.photo == own[visit.claimed] for visit in themselves)


def test_every_telling_has_other_visits():
    first, second = (visits_of(PEOPLE, stamp) for stamp in ("1700000000", "1700000001"))
    assert not {visit.check_id for visit in first} & {visit.check_id for visit in second}
    assert [visit.claimed for visit in first] != [visit.claimed for visit in second]


@pytest.mark.parametrize(
    ("figure", "value", "promise"),
    [
        ("refused_after", 0.3, "doors refuse fewer of the right people than before"),
        ("deploy_seconds", 60.0, "deployment within a minute"),
        ("rollback_seconds", 60.0, "rollback within a minute"),
    ],
)
def test_a_promise_that_did_not_hold_is_named(figure, value, promise):
    kept, broken = (Report(figures={**FIGURES, **changed}) for changed in ({}, {figure: value}))
    judge(kept)
    judge(broken)
    assert (kept.broken, broken.broken) == ([], [promise])


@pytest.mark.parametrize("broken", [{}, {"deploy_seconds": 60.0}, {"rollback_seconds": 61.0}])
def test_what_faces_did_in_the_drill_is_in_its_report_and_what_they_broke_too(broken):
    faces, drill = Report(figures={**FIGURES, "version": "v1.1.0", **broken}), Report(figures={"canary_promoted": True})
    faces.judge_requests()
    # Of so few people nobody is told whether they are refused less often.
    faces.figures["refused_after"] = 1.0
    add(faces, drill)
    figures = drill.figures["faces"]
    assert drill.figures["canary_promoted"] and (figures["version"], figures["requests_failed"]) == ("v1.1.0", 0)
    assert len(drill.broken) == len(broken) and all(promise.startswith("faces: ") for promise in drill.broken)


def test_a_request_that_failed_beside_faces_is_the_drills_broken_promise():
    faces, drill = Report(figures={**FIGURES, "requests_failed": 1}), Report()
    faces.judge_requests()
    add(faces, drill)
    assert drill.broken == ["faces: not one request failed"]
