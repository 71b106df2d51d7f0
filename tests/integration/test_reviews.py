"""The review page's interface: who is shown what, what can be taken back, and what a word becomes."""

import io
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from include.helper_service.tasks import Verdict
from tests.reviewing import BAD, GOOD, a_photo, a_review, helper_app, model_events, outbox, rows, upload
from tests.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture
def helper(services):
    """`helper(**settings)` → a client; three tasks wait, of branch B-1 two and of no branch one."""
    opened = []

    def start(**settings):
        client = TestClient(helper_app(services, **settings)).__enter__()
        opened.append(client)
        for number, branch in ((1, "B-1"), (2, "B-1"), (3, None)):
            create(client, f"T-{number}", branch)
        return client

    yield start
    for client in opened:
        client.__exit__(None, None, None)


def create(http, task_id, branch=None):
    body = {"taskId": task_id, "helperId": "H-1", "photoUrl": f"s3://tasks/{task_id}.jpg", "branchId": branch}
    assert http.post("/helper/tasks", json=body).status_code == 201


def offered(http, reviewer="kim", **asked):
    """Task ids and which opinion on them is wanted, in order."""
    found = http.get("/helper/reviews/queue", params={"reviewerId": reviewer, "limit": 20, **asked}).json()
    return [(task["taskId"], task["opinion"]) for task in found["tasks"]]


def ids(http, reviewer="kim", **asked):
    return [task_id for task_id, _ in offered(http, reviewer, **asked)]


def say(http, task_id, reviewer="kim", final_result=GOOD, **fields):
    return http.post(f"/helper/tasks/{task_id}/reviews", json=a_review(reviewer, final_result, **fields))


def settled(services, count):
    until(lambda: rows(services, "SELECT count(*) FROM reviews WHERE settled_at IS NOT NULL") == [(count,)], "words")


def words_of_events(services):
    return [(e["taskId"], e["finalResult"], e["corrected"]) for e in outbox(services)]


# The queue


def test_what_nobody_has_seen_is_offered_oldest_first_with_the_verdict_and_its_certainty(helper):
    http = helper()
    found = http.get("/helper/reviews/queue", params={"reviewerId": "kim", "limit": 2}).json()
    assert [task["taskId"] for task in found["tasks"]] == ["T-1", "T-2"]
    assert found["tasks"][0] == {
        "taskId": "T-1",
        "photo": "/helper/tasks/T-1/photo",
        "opinion": "first",
        "verdictHidden": False,
        "aiResult": GOOD,
        "confidence": 0.97,
        "modelVersion": "v1.0.0",
        "likeliestReasons": [],
    }
    assert found["labels"] == [GOOD, BAD]
    assert found["progress"] == {
        "waiting": 3,
        "reviewedToday": 0,
        "correctedToday": 0,
        "branchToday": 0,
        "branchMost": 300,
    }


def test_tasks_that_the_page_has_are_not_offered_again(helper):
    assert ids(helper(), besides=["T-1", "T-3"]) == ["T-2"]


def test_a_branch_sees_its_own_tasks_and_those_of_none(helper):
    http = helper()
    create(http, "T-4", "B-2")
    assert ids(http, branchId="B-1") == ["T-1", "T-2", "T-3"]
    assert ids(http, branchId="B-2") == ["T-3", "T-4"]
    assert ids(http) == ["T-1", "T-2", "T-3", "T-4"]


def test_of_a_branch_with_a_share_of_nothing_no_task_is_offered(helper):
    assert ids(helper(review_share_of_branch={"B-1": 0})) == ["T-3"]


def test_a_branch_is_offered_no_more_than_its_number_a_day(helper):
    http = helper(daily_reviews=300, daily_reviews_of_branch={"B-1": 2})
    assert ids(http, branchId="B-1") == ["T-1", "T-2"]
    say(http, "T-1", branchId="B-1")
    assert ids(http, branchId="B-1") == ["T-2"]
    say(http, "T-2", branchId="B-1")
    assert ids(http, "lee", branchId="B-1") == []
    assert ids(http, "lee") == ["T-3"]
    progress = http.get("/helper/reviews/queue", params={"reviewerId": "lee", "branchId": "B-1"}).json()["progress"]
    assert (progress["branchToday"], progress["branchMost"], progress["waiting"]) == (2, 2, 1)


@pytest.mark.parametrize("desks", [1, 2, 3])
@pytest.mark.parametrize("most", [0, 1, 3])
def test_however_many_desks_of_a_branch_speak_at_once_it_says_no_more_than_its_number(services, helper, most, desks):
    http = helper(daily_reviews_of_branch={"B-1": most}, undo_seconds=60)
    for number in range(4, 12):
        create(http, f"T-{number}", "B-1")
    who = [f"reviewer-{n}" for n in range(desks)]
    lie = {one: ids(http, one, branchId="B-1") for one in who}
    assert all(len(photos) == most for photos in lie.values())
    # As the page does: what lies there already is of the number, too.
    for one, photos in lie.items():
        assert ids(http, one, branchId="B-1", besides=photos) == []
    # Each says its words of other photos than its neighbours.
    photos = [f"T-{number}" for number in (1, 2, *range(4, 12))]
    words = list(zip(photos, who * len(photos), strict=False))
    with ThreadPoolExecutor(len(words)) as at_once:
        answers = list(at_once.map(lambda word: say(http, *word, branchId="B-1"), words))
    said = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert (len(said), len(said) + len(refused)) == (min(most, len(words)), len(words))
    for answer in refused:
        assert answer.json()["detail"] == f"your branch has had all its photos for today ({most}): go on tomorrow"
    assert rows(services, "SELECT count(*) FROM reviews") == [(len(said),)]


def test_at_the_number_the_same_word_is_one_and_one_that_is_taken_back_makes_room(helper):
    http = helper(daily_reviews_of_branch={"B-1": 1}, undo_seconds=60)
    first = say(http, "T-1", branchId="B-1")
    assert say(http, "T-1", branchId="B-1").json() == first.json()
    assert say(http, "T-2", branchId="B-1").status_code == 429
    # Of no branch, or of another one, it is somebody else's number.
    assert say(http, "T-3", "lee").status_code == 201
    http.delete(f"/helper/reviews/{first.json()['reviewId']}", params={"reviewerId": "kim"})
    assert say(http, "T-2", branchId="B-1").status_code == 201


def test_a_blind_task_tells_nothing_of_the_verdict_before_and_after(services, helper):
    http = helper(blind_audit_share=1)
    (task, *_) = http.get("/helper/reviews/queue", params={"reviewerId": "kim"}).json()["tasks"]
    assert task["verdictHidden"]
    assert (task["aiResult"], task["confidence"], task["modelVersion"]) == (None, None, None)
    assert say(http, "T-1", final_result=BAD).json()["corrected"] is None
    settled(services, 1)
    (event,) = outbox(services)
    assert event["blindAudit"] and event["corrected"]


def test_the_blind_sample_is_of_words_said_without_the_verdict_that_chance_alone_drew(services, helper):
    http = helper(blind_audit_share=1, undo_seconds=60)
    # Somebody named T-1's verdict first, and that of T-3 was in sight when it was reviewed.
    directly(http, "T-1", GOOD)
    words = (("T-1", "kim"), ("T-1", "lee"), ("T-2", "kim"), ("T-3", "kim"))
    for count, (task_id, reviewer) in enumerate(words, 1):
        say(http, task_id, reviewer, BAD)
        rows(services, "UPDATE reviews SET verdict_hidden = false WHERE task_id = 'T-3'")
        rows(services, "UPDATE reviews SET leaves_at = now()")
        settled(services, count)
    events = [(event["taskId"], event.get("blindAudit")) for event in outbox(services)]
    assert events == [("T-1", None), ("T-1", None), ("T-2", True), ("T-3", None)]


@pytest.mark.parametrize(("blind_share", "told"), [(0, ["흙", "얼룩"]), (1, [])], ids=["seen", "hidden"])
def test_the_likeliest_reasons_of_a_correction_are_offered_where_the_verdict_is(helper, blind_share, told):
    http = helper(
        judge=lambda photo_url, task_id: Verdict(GOOD, "v1.0.0", 0.6, ("흙", "얼룩")), blind_audit_share=blind_share
    )
    offers = http.get("/helper/reviews/queue", params={"reviewerId": "kim"}).json()["tasks"]
    assert [offer["likeliestReasons"] for offer in offers] == [told] * 3
    assert http.get("/helper/tasks/T-1").json()["likeliestReasons"] == ["흙", "얼룩"]


# Words


def test_a_word_becomes_an_event_with_the_time_it_took_and_who_said_it(services, helper):
    http = helper()
    said = say(http, "T-1", "김 지점장", BAD, correctionReason="AI가 놓친 얼룩", branchId="B-1")
    assert (said.status_code, said.json()["corrected"]) == (201, True)
    settled(services, 1)
    (event,) = outbox(services)
    assert event.pop("timestamp")
    assert event == {
        "eventType": "TaskConfirmedEvent",
        "taskId": "T-1",
        "helperId": "H-1",
        "finalResult": BAD,
        "aiResult": GOOD,
        "corrected": True,
        "correctionReason": "AI가 놓친 얼룩",
        "photoUrl": "s3://tasks/T-1.jpg",
        "modelVersion": "v1.0.0",
        "confidence": 0.97,
        "reviewerId": "김 지점장",
        "branchId": "B-1",
        "reviewSeconds": 3.2,
        "shownAt": "2026-05-04T12:00:00Z",
    }
    assert http.get("/helper/tasks/T-1").json()["finalResult"] == BAD


def test_a_page_that_lay_open_counts_as_two_minutes(services, helper):
    say(helper(), "T-1", reviewSeconds=86400)
    settled(services, 1)
    assert outbox(services)[0]["reviewSeconds"] == 120


def test_a_confirmation_keeps_no_reason(services, helper):
    say(helper(), "T-1", correctionReason="typed, then thought better of it")
    settled(services, 1)
    assert outbox(services)[0]["correctionReason"] is None


def test_until_it_leaves_a_word_is_nobodys_event_and_can_be_taken_back(services, helper):
    http = helper(undo_seconds=60)
    review = say(http, "T-1", final_result=BAD).json()["reviewId"]
    assert ids(http) == ["T-2", "T-3"] and ids(http, "lee") == ["T-2", "T-3"]
    assert http.get("/helper/tasks/T-1").json()["finalResult"] is None
    assert http.delete(f"/helper/reviews/{review}", params={"reviewerId": "lee"}).status_code == 404
    assert http.delete(f"/helper/reviews/{review}", params={"reviewerId": "kim"}).status_code == 204
    assert http.delete(f"/helper/reviews/{review}", params={"reviewerId": "kim"}).status_code == 404
    assert ids(http) == ["T-1", "T-2", "T-3"]
    assert (outbox(services), rows(services, "SELECT * FROM reviews")) == ([], [])


def test_a_word_that_has_left_cannot_be_taken_back(services, helper):
    http = helper()
    review = say(http, "T-1").json()["reviewId"]
    settled(services, 1)
    assert http.delete(f"/helper/reviews/{review}", params={"reviewerId": "kim"}).status_code == 409
    assert len(outbox(services)) == 1


def test_the_same_word_twice_is_one_and_another_has_to_undo_the_first(services, helper):
    http = helper(undo_seconds=60)
    first, again = say(http, "T-1"), say(http, "T-1")
    assert (first.json(), again.status_code) == (again.json(), 201)
    assert say(http, "T-1", final_result=BAD).status_code == 409


def test_a_word_that_waits_outlives_the_service(services, helper):
    http = helper(undo_seconds=60)
    say(http, "T-1")
    http.__exit__(None, None, None)
    assert outbox(services) == []
    rows(services, "UPDATE reviews SET leaves_at = now()")
    helper()
    settled(services, 1)
    assert len(outbox(services)) == 1


@pytest.mark.parametrize("damage", ["shown_at = '10000-01-01 13:59:59+00'", "shown_at = '0044-03-15 00:00+00 BC'"])
def test_a_word_that_cannot_be_settled_holds_no_other_one_up_and_the_service_says_so(services, helper, damage):
    http = helper(undo_seconds=60)
    assert http.get("/health").json() == {"status": "ok", "wordsSetAside": 0}
    say(http, "T-1")
    say(http, "T-2")
    rows(services, f"UPDATE reviews SET {damage} WHERE task_id = 'T-1'")
    rows(services, "UPDATE reviews SET leaves_at = now() - interval '1 s' * (3 - right(task_id, 1)::int)")
    settled(services, 1)
    assert words_of_events(services) == [("T-2", GOOD, False)]
    assert http.get("/health").json() == {"status": "ok", "wordsSetAside": 1}
    assert rows(services, "SELECT task_id FROM reviews WHERE settled_at IS NULL") == [("T-1",)]


# Several people


def test_people_who_disagree_are_not_lost_and_a_third_one_decides_without_knowing_what_they_said(services, helper):
    http = helper(undo_seconds=0.6)
    say(http, "T-1", "kim", GOOD)
    say(http, "T-1", "lee", BAD, correctionReason="a stain")
    settled(services, 2)
    assert words_of_events(services) == [("T-1", GOOD, False)]
    assert ids(http, "kim") == ids(http, "lee") == ["T-2", "T-3"]
    (task, *_) = http.get("/helper/reviews/queue", params={"reviewerId": "park"}).json()["tasks"]
    assert (task["taskId"], task["opinion"], task["aiResult"]) == ("T-1", "third", None)
    say(http, "T-1", "park", BAD, correctionReason="a stain at the hem")
    settled(services, 3)
    assert words_of_events(services) == [("T-1", GOOD, False), ("T-1", BAD, True)]
    assert outbox(services)[-1]["correctionReason"] == "a stain at the hem"
    assert outbox(services)[0]["timestamp"] < outbox(services)[-1]["timestamp"]
    assert ids(http, "choi") == ["T-2", "T-3"]


def test_a_third_person_who_agrees_with_the_first_makes_no_event(services, helper):
    http = helper()
    for count, (reviewer, word) in enumerate((("kim", GOOD), ("lee", BAD), ("park", GOOD)), 1):
        say(http, "T-1", reviewer, word)
        settled(services, count)
    assert words_of_events(services) == [("T-1", GOOD, False)]
    assert ids(http, "choi") == ["T-2", "T-3"]


def test_a_share_of_the_tasks_is_shown_to_a_second_person_without_the_first_word(services, helper):
    http = helper(second_opinion_share=1)
    say(http, "T-1", "kim", GOOD)
    settled(services, 1)
    assert ids(http, "kim") == ["T-2", "T-3"]
    assert offered(http, "lee")[0] == ("T-1", "second")
    say(http, "T-1", "lee", GOOD)
    settled(services, 2)
    assert ids(http, "park") == ["T-2", "T-3"]
    assert len(outbox(services)) == 1


def test_second_and_third_opinions_stay_in_the_branch_too(services, helper):
    http = helper(second_opinion_share=1)
    say(http, "T-1", "kim", GOOD, branchId="B-1")
    settled(services, 1)
    assert ids(http, "lee", branchId="B-2") == ["T-3"]
    progress = http.get("/helper/reviews/queue", params={"reviewerId": "lee", "branchId": "B-2"}).json()["progress"]
    assert progress["waiting"] == 1
    refused = say(http, "T-1", "lee", BAD, branchId="B-2")
    assert (refused.status_code, refused.json()["detail"]) == (403, "T-1 is a photo of another branch than B-2")
    assert offered(http, "park", branchId="B-1")[0] == ("T-1", "second")
    say(http, "T-1", "park", BAD, branchId="B-1")
    settled(services, 2)
    assert offered(http, "choi")[0] == ("T-1", "third")
    say(http, "T-1", "choi", BAD)
    settled(services, 3)
    assert [event["branchId"] for event in outbox(services)] == ["B-1", "B-1"]


def test_the_branch_of_an_event_is_the_photos_and_never_the_reviewers(services, helper):
    say(helper(), "T-3", branchId="B-1")
    settled(services, 1)
    assert "branchId" not in outbox(services)[0]


def test_a_word_against_a_confirmation_from_elsewhere_is_disputed_too(services, helper):
    http = helper()
    body = {"finalResult": BAD, "aiResult": GOOD, "corrected": True}
    http.post("/helper/tasks/T-1/confirm", json=body)
    say(http, "T-1", "kim", GOOD)
    settled(services, 1)
    assert words_of_events(services) == [("T-1", BAD, True)]
    assert offered(http, "lee")[0] == ("T-1", "third")


def test_a_confirmation_from_elsewhere_replaces_the_words_before_it_and_counts_with_those_after(services, helper):
    http = helper(second_opinion_share=1)
    say(http, "T-1", "kim", GOOD)
    settled(services, 1)
    http.post("/helper/tasks/T-1/confirm", json={"finalResult": BAD, "aiResult": GOOD, "corrected": True})
    assert "T-1" not in ids(http, "lee"), "the second opinion on a word that no longer counts"
    for count, (reviewer, word) in enumerate((("lee", BAD), ("park", GOOD), ("choi", BAD), ("han", GOOD)), 2):
        say(http, "T-1", reviewer, word)
        settled(services, count)
    assert words_of_events(services) == [("T-1", GOOD, False), ("T-1", BAD, True)]
    assert http.get("/helper/tasks/T-1").json()["finalResult"] == BAD


def directly(http, task_id, result):
    body = {"finalResult": result, "aiResult": GOOD, "corrected": result != GOOD}
    assert http.post(f"/helper/tasks/{task_id}/confirm", json=body).status_code == 200


def test_a_confirmation_from_elsewhere_that_agrees_ends_the_question_and_makes_no_event(services, helper):
    http = helper()
    for count, (reviewer, word) in enumerate((("kim", GOOD), ("lee", BAD)), 1):
        say(http, "T-1", reviewer, word)
        settled(services, count)
    for _ in range(2):
        directly(http, "T-1", GOOD)
    assert "T-1" not in ids(http, "park")
    say(http, "T-1", "park", BAD)
    settled(services, 3)
    assert words_of_events(services) == [("T-1", GOOD, False)]
    assert offered(http, "choi")[0] == ("T-1", "third"), "one word against one confirmation"


def test_a_word_that_could_still_be_taken_back_when_somebody_confirmed_elsewhere_does_not_count(services, helper):
    http = helper(undo_seconds=60)
    say(http, "T-1", "kim", GOOD)
    directly(http, "T-1", BAD)
    rows(services, "UPDATE reviews SET leaves_at = now()")
    settled(services, 1)
    assert words_of_events(services) == [("T-1", BAD, True)]
    assert "T-1" not in ids(http, "lee")


# What became of it


def deployed(version, through, at="2026-05-05T00:00:00Z"):
    return {"modelType": "LAUNDRY", "modelVersion": version, "deployedAt": at, "correctionsThrough": through}


def test_a_reviewer_hears_which_version_knows_their_corrections_and_since_when_it_serves(services, helper):
    http = helper()
    for task_id, reviewer, word in (("T-1", "kim", BAD), ("T-2", "kim", GOOD), ("T-3", "lee", BAD)):
        say(http, task_id, reviewer, word)
    settled(services, 3)

    def learned(reviewer="kim"):
        return http.get("/helper/reviews/learned", params={"reviewerId": reviewer}).json()

    assert learned() is None
    with model_events(services) as publish:
        publish("e-1", deployed("v1.0.0", "2020-01-01T00:00:00Z"))
        until(lambda: learned() is not None, "the first model")
        assert learned()["corrections"] == 0
        publish("e-0", b"no event at all")
        publish("e-f", {**deployed("v9", "2099-01-01T00:00:00Z"), "modelType": "FACE"})
        for _ in range(2):
            publish("e-2", deployed("v1.1.0", "2099-01-01T00:00:00Z", "2026-05-06T00:00:00Z"))
        until(lambda: learned()["modelVersion"] == "v1.1.0", "the second model")
        assert learned() == {"modelVersion": "v1.1.0", "since": "2026-05-06T00:00:00Z", "corrections": 1}
        assert learned("park")["corrections"] == 0
        back = {"modelType": "LAUNDRY", "modelVersion": "v1.0.0", "rolledBackAt": "2026-05-07T00:00:00Z"}
        publish("e-3", back, "ModelRolledBackEvent")
        until(lambda: learned()["modelVersion"] == "v1.0.0", "the way back")
        assert learned()["corrections"] == 0


ODD_EVENTS = [
    *(
        {**deployed("v9.0.0", "2030-01-01T00:00:00Z"), name: value}
        for name in ("modelType", "modelVersion", "deployedAt", "correctionsThrough")
        for value in (5, {"a": 1}, ["b"], "\x00", "x" * 100_000)
    ),
    {},
]
ODD_BODIES = [b"", b"null", b"[]", b"\xff", b"[" * 100_000, b'{"eventType": 1}']


def test_no_model_event_however_odd_holds_up_those_behind_it(services, helper):
    http = helper()
    with model_events(services) as publish:
        for number, odd in enumerate([*ODD_EVENTS, *ODD_BODIES]):
            publish(f"odd-{number}", odd)
        publish("good", deployed("v1.0.0", "2020-01-01T00:00:00Z", "2031-01-01T00:00:00Z"))
        learned = "/helper/reviews/learned"
        until(
            lambda: (http.get(learned, params={"reviewerId": "kim"}).json() or {}).get("modelVersion") == "v1.0.0",
            "the event behind them",
        )
    assert http.get("/health").json()["status"] == "ok"


def test_without_a_replica_nobody_serves(helper):
    http = helper(faceserve_replicas=("127.0.0.1:1", "127.0.0.1:2"))
    assert http.get("/helper/reviews/serving").json() == {"replicas": {}, "silent": 2}


# Photos


def test_a_photo_comes_without_what_the_camera_wrote_into_it_and_can_do_nothing(services, helper):
    exif = Image.Exif()
    exif[0x010E] = "Seoul, at home"
    upload(services, "T-1", a_photo(exif=exif.tobytes()))
    got = helper().get("/helper/tasks/T-1/photo")
    assert (got.status_code, got.headers["content-type"]) == (200, "image/jpeg")
    assert b"Seoul" not in got.content and Image.open(io.BytesIO(got.content)).size == (320, 240)
    assert got.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert got.headers["x-content-type-options"] == "nosniff"


def test_a_photo_that_cannot_be_shown_is_a_sentence(services, helper):
    http = helper()
    upload(services, "T-1", b"<script>alert(1)</script>")
    secret = {"taskId": "T-X", "helperId": "H-1", "photoUrl": "s3://models/secret.jpg"}
    refused = http.post("/helper/tasks", json=secret)
    assert refused.status_code == 422 and "is not in an allowed bucket" in refused.json()["detail"]
    # As one that an earlier release took.
    rows(services, "UPDATE tasks SET task_id = 'T-X', photo_url = %s WHERE task_id = 'T-3'", secret["photoUrl"])
    answers = {
        "T-1": (422, "photo is no readable JPEG"),
        "T-2": (404, "there is no photo at s3://tasks/T-2.jpg"),
        "T-9": (404, "no task 'T-9'"),
        "T-X": (422, "is not in an allowed bucket"),
    }
    for task_id, (status, sentence) in answers.items():
        got = http.get(f"/helper/tasks/{task_id}/photo")
        assert got.status_code == status and sentence in got.json()["detail"], task_id


# What is refused


NONSENSE = (
    {"finalResult": "보통"},
    {"reviewerId": ""},
    {"reviewerId": "kim\n"},
    {"reviewerId": "<script>"},
    {"correctionReason": "a\x00b"},
    {"correctionReason": "half a pair \ud800"},
    {"correctionReason": "x" * 4001},
    {"reviewSeconds": float("nan")},
    {"reviewSeconds": -1},
    {"shownAt": "2026-05-04T12:00:00"},
    {"shownAt": "9999-12-31T23:59:59-14:00"},
    {"shownAt": "0001-01-01T00:00:00+14:00"},
    {"shownAt": "2019-12-31T23:59:59Z"},
    {"\ud800": 1},
    {"aiResult": GOOD},
)


def test_a_word_that_makes_no_sense_is_refused_in_words_and_leaves_nothing(services, helper):
    http = helper()
    for changes in NONSENSE:
        body = json.dumps({**a_review(), **changes}).encode()
        got = http.post("/helper/tasks/T-1/reviews", content=body, headers={"Content-Type": "application/json"})
        assert got.status_code == 422 and got.json()["detail"], changes
    assert rows(services, "SELECT * FROM reviews") == []


def test_another_sites_page_cannot_speak_for_a_reviewer(services, helper):
    http = helper()
    for headers, status in (({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-origin"}, 201)):
        assert http.post("/helper/tasks/T-1/reviews", json=a_review(), headers=headers).status_code == status
    form = http.post(
        "/helper/tasks/T-2/reviews", content=json.dumps(a_review()), headers={"Content-Type": "text/plain"}
    )
    assert form.status_code == 422


def test_without_its_database_the_service_says_so_and_comes_back_by_itself(services, helper):
    http = helper()
    with services.without("postgres"):
        got = http.get("/helper/reviews/queue", params={"reviewerId": "kim"})
        assert (got.status_code, got.json()["detail"]) == (503, "the database is out of reach")
        assert say(http, "T-1").status_code == 503
    until(lambda: say(http, "T-1").status_code == 201, "the database to be found again")
    settled(services, 1)


def test_without_the_storage_of_photos_a_photo_is_unavailable_and_the_rest_goes_on(services, helper):
    http = helper()
    with services.without("s3"):
        got = http.get("/helper/tasks/T-1/photo")
        assert (got.status_code, got.json()["detail"]) == (503, "the storage of photos is out of reach")
        assert ids(http) == ["T-1", "T-2", "T-3"]


# The page


def test_the_page_may_load_and_send_nothing_elsewhere(helper):
    http = helper()
    page = http.get("/review")
    assert page.status_code == 200 and "<script>" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert "http://" not in page.text and "https://" not in page.text
    assert http.get("/review/files/review.js").headers["content-security-policy"] == policy
    assert http.get("/review/files/../__init__.py").status_code == 404
