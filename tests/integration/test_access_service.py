"""The access stand-in: a check, a person's word on it and its event together; people are known by the model servers."""

import json
import unicodedata
from dataclasses import asdict

import boto3
import pika
import psycopg2
import pytest
from fastapi.testclient import TestClient

from include.access_service.app import create_app
from include.access_service.checks import Answer
from include.access_service.settings import Settings
from include.contract.manifest import PORTRAIT_BOUNDS
from include.contract.portrait import PORTRAIT
from include.stack.postgres import query
from pipeline.adapters.access_db import AccessDatabase
from pipeline.bootstrap import Pipeline
from pipeline.bootstrap.faces import FacePipeline
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.errors import ServiceUnavailable
from pipeline.settings import Settings as PipelineSettings
from tests.fakes.access import FakeFaces
from tests.replica.world import TOKEN, replica
from tests.tiny_model import coloured_photo
from tests.waiting import until

pytestmark = pytest.mark.integration

QUEUE = "mlops.task-confirmed"
KIM = {"checkId": "C-1", "doorId": "DOOR-1", "photoUrl": "s3://tasks/C-1.jpg", "claimedIdentity": "kim"}
NOBODY = """INSERT INTO checks (check_id, door_id, photo_url, threshold, ai_result, model_version)
    VALUES ('C-0', 'DOOR-1', 's3://tasks/C-0.jpg', 0.5, 'different', 'v1.0.0')"""


def settings(services, **more):
    stack = services.stack
    return Settings(
        dsn=stack.dsn("access", "access"), amqp_url=stack.amqp_url_of("access"), s3_endpoint=stack.s3_endpoint, **more
    )


@pytest.fixture
def access(services):
    services.truncate("access")
    return services


@pytest.fixture
def faces():
    return FakeFaces()


@pytest.fixture
def http(access, faces):
    with TestClient(create_app(settings(access), faces)) as client:
        yield client


def confirm(http, check_id="C-1", final_result="different", **more):
    said = {"finalResult": final_result, "reviewerId": "이 과장", **more}
    return http.post(f"/access/checks/{check_id}/confirm", json=said)


def rows(services, columns, table):
    return query(services.stack.dsn("access", "access"), f"SELECT {columns} FROM {table} ORDER BY 1")


def published(services, count):
    """So many events off the queue."""
    until(lambda: len(rows(services, "id", "outbox WHERE published_at IS NOT NULL")) == count, "the relay to publish")
    connection = pika.BlockingConnection(pika.URLParameters(services.stack.amqp_url))
    channel, found = connection.channel(), []
    while (got := channel.basic_get(QUEUE, auto_ack=True))[0] is not None:
        found.append(json.loads(got[2]))
    connection.close()
    return found


def test_a_word_on_a_check_becomes_an_event_that_says_which_model_and_whom_it_is_about(access, http):
    made = http.post("/access/checks", json={**KIM, "branchId": "강남점"})
    assert (made.status_code, made.json()["accepted"], made.json()["aiResult"]) == (201, True, "same")
    assert confirm(http, correctionReason="쌍둥이").json()["corrected"] is True
    (event,) = published(access, 1)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "eventType": "TaskConfirmedEvent",
        "modelType": "FACE",
        "taskId": "C-1",
        "helperId": "DOOR-1",
        "finalResult": "different",
        "aiResult": "same",
        "corrected": True,
        "correctionReason": "쌍둥이",
        "photoUrl": "s3://tasks/C-1.jpg",
        "modelVersion": "v1.0.0",
        "identity": "kim",
        "claimedIdentity": "kim",
        "score": 0.9,
        "threshold": 0.5,
        "branchId": "강남점",
        "reviewerId": "이 과장",
    }


def test_a_door_stays_shut_below_the_threshold_and_opens_on_it(http, faces):
    for number, (score, accepted) in enumerate([(0.4999, False), (0.5, True), (None, False)]):
        faces.says = Answer("kim" if score else None, score, 0.5, "v1.0.0")
        made = http.post("/access/checks", json={**KIM, "checkId": f"C-{number}"})
        assert (made.status_code, made.json()["accepted"]) == (201, accepted)


def test_the_same_check_again_gives_the_same_answer_and_its_id_belongs_to_one_question(http, faces):
    first = http.post("/access/checks", json=KIM).json()
    faces.says = Answer("kim", 0.1, 0.5, "v2.0.0")
    assert http.post("/access/checks", json=KIM).json() == first == http.get("/access/checks/C-1").json()
    for other in ({"photoUrl": "s3://tasks/other.jpg"}, {"claimedIdentity": "lee"}, {"claimedIdentity": None}):
        assert http.post("/access/checks", json={**KIM, **other}).status_code == 409


def test_the_same_word_again_is_one_event_and_another_word_supersedes_it(access, http):
    http.post("/access/checks", json=KIM)
    for word in ("different", "different", "same"):
        assert confirm(http, final_result=word).json()["finalResult"] == word
    events = published(access, 2)
    assert [(e["finalResult"], e["corrected"]) for e in events] == [("different", True), ("same", False)]
    assert events[0]["timestamp"] < events[1]["timestamp"]


@pytest.mark.parametrize(
    ("check_id", "said", "answer"),
    [
        ("C-9", {}, (404, "no check 'C-9'")),
        ("C-0", {}, (409, "was compared with nobody")),
        ("C-1", {"finalResult": "양호"}, (422, "finalResult")),
        ("C-1", {"reviewerId": ""}, (422, "reviewerId")),
        ("C-1", {"corrected": True}, (422, "corrected")),
        ("C;1", {}, (422, "check_id")),
    ],
)
def test_a_word_that_makes_no_sense_is_refused_and_leaves_no_event(access, http, check_id, said, answer):
    http.post("/access/checks", json=KIM)
    query(access.stack.dsn("access", "access"), NOBODY)
    got = confirm(http, check_id, **{"final_result": said.pop("finalResult", "same"), **said})
    assert (got.status_code, answer[1] in got.text) == (answer[0], True), got.text
    assert rows(access, "id", "outbox") == []


def test_whoever_stood_there_instead_may_be_named_in_any_form_if_they_are_enrolled(access, http, faces):
    stack, name = access.stack, unicodedata.normalize("NFC", "이영희")
    http.put(f"/access/people/{name}", json={"photoUrl": "s3://tasks/1.jpg"})
    faces.says = Answer("kim", 0.2, 0.5, "v1.0.0")
    http.post("/access/checks", json={**KIM, "claimedIdentity": None})
    refused = [
        confirm(http, shownIdentity="nobody"),
        confirm(http, shownIdentity="kim"),
        confirm(http, final_result="same", shownIdentity=name),
    ]
    assert [(one.status_code, "shownIdentity" in one.text or "says otherwise" in one.text) for one in refused] == [
        (409, True)
    ] * 3
    assert rows(access, "id", "outbox") == [] and confirm(http).status_code == 200
    for form in ("NFD", "NFKC"):
        said = confirm(http, shownIdentity=unicodedata.normalize(form, name))
        assert (said.status_code, said.json()["shownIdentity"]) == (200, name)
    assert confirm(http).json()["shownIdentity"] == name, "the same word with less in it takes nothing back"
    assert [event.get("shownIdentity") for event in published(access, 2)] == [None, name]
    found = AccessDatabase(stack.dsn("mlops_reader", "access")).confirmed(per_person=9, limit=9)
    assert {(c.check_id, c.identity, c.same, c.corrects, c.shown) for c in found} == {
        ("C-1", "kim", False, False, name),
        ("C-1", name, True, True, ""),
    }
    assert confirm(http, final_result="same").json()["shownIdentity"] is None
    published(access, 3)
    confirm(http, shownIdentity=name)
    http.delete(f"/access/people/{name}")
    assert rows(access, "check_id", "checks") == [], "the photo shows who withdrew"


def test_who_retrains_reads_an_access_service_that_knows_nothing_of_who_else_stood_there(access, http):
    http.post("/access/checks", json=KIM)
    confirm(http)
    owner = access.stack.dsn("access_owner", "access")
    query(owner, "ALTER TABLE checks RENAME COLUMN shown_identity TO later_named")
    try:
        found = AccessDatabase(access.stack.dsn("mlops_reader", "access")).confirmed(per_person=9, limit=9)
    finally:
        query(owner, "ALTER TABLE checks RENAME COLUMN later_named TO shown_identity")
    assert [(c.check_id, c.same, c.shown) for c in found] == [("C-1", False, "")]


def test_what_was_said_at_a_door_is_in_the_live_rates_and_in_no_figure_of_laundry(access, http, faces):
    stack = access.stack
    wiring = Wiring(PipelineSettings(mlops_dsn=stack.dsn("mlops", "mlops"), amqp_url=stack.amqp_url_of("pipeline")))
    for number, (score, word) in enumerate([(0.9, "same"), (0.9, "different"), (0.4, "same")]):
        faces.says = Answer("kim", score, 0.5, "v1.0.0")
        http.post("/access/checks", json={**KIM, "checkId": f"C-{number}"})
        confirm(http, f"C-{number}", word)
    until(lambda: len(rows(access, "id", "outbox WHERE published_at IS NOT NULL")) == 3, "the relay to publish")
    counts = Pipeline(wiring).accumulate()
    assert (counts["faces"], counts["new"], counts["dead_lettered"]) == (3, 0, 0)
    assert query(stack.dsn("mlops", "mlops"), "SELECT count(*) FROM task_confirmations") == [(0,)]
    (rates,) = FacePipeline(wiring).rates(days=1)
    assert (rates["version"], rates["wrongly_refused"]["share"], rates["wrongly_accepted"]["share"]) == (
        "v1.0.0",
        0.5,
        0.5,
    )
    assert rates["wrongly_refused"].keys() == {"share", "low", "high", "failed", "checks", "people"}


def test_who_retrains_reads_whom_a_photo_shows_and_who_said_so_and_can_change_nothing(access, http, faces):
    for number, (name, score, word) in enumerate(
        [
            ("kim", 0.9, "same"),
            ("kim", 0.2, "same"),
            ("kim", 0.9, "different"),
            ("lee", 0.9, "same"),
            ("lee", 0.9, None),
        ]
    ):
        faces.says = Answer(name, score, 0.5, "v1.0.0")
        http.post(
            "/access/checks", json={**KIM, "checkId": f"C-{number}", "claimedIdentity": None, "branchId": "강남점"}
        )
        if word:
            confirm(http, f"C-{number}", word)
    reader = AccessDatabase(access.stack.dsn("mlops_reader", "access"))
    found = reader.confirmed(per_person=9, limit=9)
    assert [(c.check_id, c.identity, c.same, c.corrects) for c in found] == [
        ("C-3", "lee", True, False),
        ("C-2", "kim", False, True),
        ("C-1", "kim", True, True),
        ("C-0", "kim", True, False),
    ]
    assert {(c.confirmed_by, c.branch, c.photo_url) for c in found} == {("이 과장", "강남점", "s3://tasks/C-1.jpg")}
    assert all(c.taken_at < c.confirmed_at for c in found)
    assert [c.check_id for c in reader.confirmed(per_person=1, limit=9)] == ["C-3", "C-2", "C-1"]
    assert [c.check_id for c in reader.confirmed(per_person=9, limit=1)] == ["C-3"]
    nothing_more = "UPDATE checks SET corrected = NULL, branch_id = NULL, reviewer_id = NULL, correction_reason = NULL"
    query(
        access.stack.dsn("access", "access"), f"{nothing_more}, photo_url = '', score = 'NaN' WHERE check_id <> 'C-4'"
    )
    bare = reader.confirmed(per_person=9, limit=9)
    assert [(c.check_id, c.corrects) for c in bare] == [(c.check_id, c.corrects) for c in found]
    assert {(c.branch, c.confirmed_by) for c in bare} == {("", "")}
    query(access.stack.dsn("access", "access"), "UPDATE checks SET check_id = '' WHERE check_id = 'C-0'")
    assert [c.check_id for c in reader.confirmed(per_person=9, limit=9)] == ["C-3", "C-2", "C-1"], (
        "a check has a number"
    )
    never = "UPDATE checks SET confirmed_at = 'infinity' WHERE check_id = 'C-3'"
    query(access.stack.dsn("access", "access"), never)
    assert len(reader.confirmed(per_person=9, limit=9)) == 2
    with pytest.raises(ServiceUnavailable, match="the access database is unavailable"):
        AccessDatabase(access.stack.dsn("mlops_reader", "nowhere")).confirmed(per_person=1, limit=1)
    with pytest.raises(psycopg2.Error, match="read-only"):
        query(access.stack.dsn("mlops_reader", "access"), "DELETE FROM checks")


def test_what_was_asked_about_somebody_is_forgotten_with_them(access, http, faces):
    for number, name in enumerate(("kim", "lee")):
        http.put(f"/access/people/{name}", json={"photoUrl": f"s3://tasks/{name}.jpg"})
        faces.says = Answer(name, 0.9, 0.5, "v1.0.0")
        http.post("/access/checks", json={**KIM, "checkId": f"C-{number}", "claimedIdentity": name})
        confirm(http, f"C-{number}")
    # Before somebody is enrolled, or after, a photo looks like nobody.
    faces.says = Answer(None, None, 0.5, "v1.0.0")
    http.post("/access/checks", json={**KIM, "checkId": "C-2", "claimedIdentity": "kim"})
    published(access, 2)
    assert http.delete("/access/people/kim").json() == {"identity": "kim", "enrolled": 1}
    assert rows(access, "check_id, identity", "checks") == [("C-1", "lee")]
    assert rows(access, "payload ->> 'identity'", "outbox") == [("lee",)]


def test_a_name_is_one_person_however_it_was_typed(http, faces):
    composed = unicodedata.normalize("NFC", "이영희")
    for form in ("NFC", "NFD", "NFKD"):
        made = http.put(
            f"/access/people/{unicodedata.normalize(form, composed)}", json={"photoUrl": "s3://tasks/1.jpg"}
        )
        assert made.json() == {"identity": composed, "enrolled": 1}


def test_people_are_enrolled_checked_and_withdrawn_at_a_real_model_server(access, tmp_path):
    s3 = boto3.client("s3", endpoint_url=access.stack.s3_endpoint)
    people = {"kim": coloured_photo(250, 20, 20), "lee": coloured_photo(20, 250, 20)}
    for name, photo in people.items():
        s3.put_object(Bucket="tasks", Key=f"{name}.jpg", Body=photo)
    with replica(tmp_path, gallery_uri="s3://faces/") as made:
        made.serve("v1.1.0", "face", threshold=0.75)
        asks = settings(
            access,
            faceserve_replicas=(made.address,),
            faceserve_enrolment=made.lifecycle_address,
            faceserve_enrolment_token=TOKEN,
        )
        with TestClient(create_app(asks)) as http:
            for count, name in enumerate(people, start=1):
                enrolled = http.put(f"/access/people/{name}", json={"photoUrl": f"s3://tasks/{name}.jpg"})
                assert enrolled.json() == {"identity": name, "enrolled": count}

            def check(number, photo, claimed=None):
                asked = {"checkId": f"C-{number}", "doorId": "D-1", "photoUrl": f"s3://tasks/{photo}.jpg"}
                return http.post("/access/checks", json={**asked, "claimedIdentity": claimed})

            answers = [check(1, "kim", "kim"), check(2, "kim", "lee"), check(3, "kim"), check(4, "kim", "nobody")]
            told = [(a.json()["accepted"], a.json()["identity"], a.json()["threshold"]) for a in answers]
            assert told == [(True, "kim", 0.75), (False, "lee", 0.75), (True, "kim", 0.75), (False, None, 0.75)]
            word = {"finalResult": "different", "reviewerId": "guard"}
            named = [
                http.post("/access/checks/C-2/confirm", json={**word, "shownIdentity": name}).status_code
                for name in ("nobody", "kim")
            ]
            assert named == [409, 200]
            missing = check(5, "nowhere")
            assert (missing.status_code, "no photo" in missing.text) == (404, True)
            assert http.delete("/access/people/kim").json()["enrolled"] == 1
            assert check(6, "kim", "kim").json()["accepted"] is False
            made.serve("v1.2.0", "face")
            untold = check(7, "lee")
            assert (untold.status_code, "tells no people apart" in untold.text) == (503, True)
            made.serve("v1.3.0", "face", threshold=0.75, extra={PORTRAIT_BOUNDS: asdict(PORTRAIT)})
            for poor in (
                check(8, "lee", "lee"),
                http.put("/access/people/new", json={"photoUrl": "s3://tasks/lee.jpg"}),
            ):
                assert (poor.status_code, "take another one" in poor.text) == (422, True), "one colour is no face"
            assert http.get("/access/checks/C-8").status_code == 404, "nobody is asked to confirm what was no answer"
