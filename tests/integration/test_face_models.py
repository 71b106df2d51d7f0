"""Drawn people become a face model that a real replica serves: through real PostgreSQL, S3 and base network."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from click.testing import CliRunner

from faceserve.storage import S3Source
from include.demo.people import DrawnPerson
from include.stack.postgres import query
from pipeline.bootstrap import RollbackRequest
from pipeline.bootstrap.faces import FacePipeline
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.faces.gate import FaceGatePolicy
from pipeline.domain.faces.retraining import FaceRetrainingPolicy
from pipeline.face_commands import face_model, face_retraining
from pipeline.learning.faces.head import unit_length
from pipeline.learning.faces.learner import head_of
from pipeline.settings import Settings
from tests.builders import a_face_confirmation
from tests.fakes.deployment import FakeRegistry
from tests.replica.world import TOKEN, replica

pytestmark = pytest.mark.integration

PEOPLE = [DrawnPerson(number) for number in range(40)]
NEW = DrawnPerson(40)
REFUSED = """INSERT INTO checks (check_id, door_id, photo_url, claimed_identity, identity, score, threshold, ai_result,
    model_version, final_result, corrected, confirmed_at, reviewer_id)
    SELECT %s, 'D-1', %s, who, who, 0.1, 0.5, 'different', 'v1.0.0', 'same', true, now(), said
    FROM (SELECT %s AS who, %s AS said) one"""
# So few people are no proof of anything: the gate is as it is for two hundred, but for its bars.
FEW = FaceGatePolicy(min_people=5, far_of_few=0.05, min_tar=0.5, min_dimensions=4, margin=0.2, max_negative_flips=0.2)


@pytest.fixture
def world(services, tmp_path):
    source = S3Source(services.stack.s3_endpoint)
    with replica(tmp_path, source, gallery_uri="s3://models/gallery/") as made:
        yield made


@pytest.fixture
def pipeline(services, world):
    stack = services.stack
    wiring = Wiring(
        Settings(
            mlops_dsn=stack.dsn("mlops", "mlops"),
            amqp_url=stack.amqp_url,
            s3_endpoint=stack.s3_endpoint,
            faceserve_replicas=(world.lifecycle_address,),
            faceserve_token=TOKEN,
            face_gate=FEW,
            face_retraining=FaceRetrainingPolicy(min_corrections=2, min_touched=2, min_days=0),
            access_dsn=stack.dsn("mlops_reader", "access"),
        )
    )
    wiring.registry = FakeRegistry()
    return FacePipeline(wiring)


@pytest.fixture
def folder(tmp_path):
    for person in PEOPLE:
        (tmp_path / "people" / person.identity).mkdir(parents=True)
        for shot in range(3):
            (tmp_path / "people" / person.identity / f"{shot}.jpg").write_bytes(person.photo(shot))
    (tmp_path / "people" / PEOPLE[0].identity / "notes.jpg").write_text("no photo")
    return tmp_path / "people"


def make(pipeline, folder, run_id, monkeypatch):
    monkeypatch.setattr(FacePipeline, "from_env", lambda: pipeline)
    done = CliRunner().invoke(face_model, [str(folder), "--run-id", run_id, "--actor", "kim"], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def retrain(pipeline, monkeypatch):
    monkeypatch.setattr(FacePipeline, "from_env", lambda: pipeline)
    done = CliRunner().invoke(face_retraining, [], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def doors_see(services, pipeline, people):
    """Each is refused, and somebody says that it was them: the access service has it, and the events came."""
    services.truncate("access")
    checks, events = services.stack.dsn("access", "access"), []
    for number, person in enumerate(people):
        check = f"C-{number}"
        pipeline._w.objects.write(f"s3://tasks/{check}.jpg", person.photo(20 + number))
        query(checks, REFUSED, (check, f"s3://tasks/{check}.jpg", person.identity, f"reviewer-{number}"))
        refused = {"ai_result": "different", "score": 0.1}
        events.append(a_face_confirmation(check, person.identity, check_id=check, **refused))
    pipeline._w.face_confirmations.store(events)


def test_people_become_a_model_that_learns_from_doors_and_goes_back(services, pipeline, world, folder, monkeypatch):
    first, said = make(pipeline, folder, "run-1", monkeypatch)
    # What is no photo; and of two people two drawings are nearly one picture.
    assert (first["version"], sum(first["people"].values()), first["set_aside"]) == ("v1.0.0", 40, 3)
    assert f"set aside: {PEOPLE[0].identity}/notes.jpg" in said
    enrolled = PEOPLE[:8]
    for person in enrolled:
        world.lifecycle.enroll("face", person.identity, person.photo(0))
    taken_for = {one.identity: world.client.compare("face", one.photo(7), count=1)[0].identity for one in enrolled}
    # Whom a photo is most like; at the rates of this gate one or two of eight are taken for another one. Learned from
    # so few, the model may name nobody among many.
    assert sum(found == identity for identity, found in taken_for.items()) >= 5
    kept = enrolled[-1].identity
    assert world.client.compared("face", enrolled[0].photo(7), identity=kept).threshold == first["threshold"]

    head = head_of(pipeline._making.artifacts.head(pipeline._w.versions.get("FACE", "v1.0.0").artifact).matrix)
    photo = enrolled[0].photo(7)
    vector = np.frombuffer(pipeline._making.network.embed([photo])[0], "<f4")[None]
    assert world.client.features("face", photo) @ unit_length(head.project(vector))[0] > 0.9999

    gone = next(identity for identity, found in taken_for.items() if found == identity)
    done = pipeline.erase_person(gone, actor="kim", reason="withdrew")
    assert (done["vectors"], done["datasets"]) == (3, [first["dataset_id"]])
    (shown,) = (one for one in enrolled if one.identity == gone)
    assert gone not in {match.identity for match in world.client.compare("face", shown.photo(7), count=100)}

    assert "0 corrections, 2 needed" in retrain(pipeline, monkeypatch)[1], "nothing was confirmed"
    doors_see(services, pipeline, [PEOPLE[8], PEOPLE[9], NEW, NEW])
    second, said = retrain(pipeline, monkeypatch)
    assert "due: True (4 corrections" in said
    artifacts = [pipeline._making.artifacts.head(v.artifact).matrix for v in pipeline._w.versions.all("FACE")]
    # So few people may be told apart by the head that serves as well as by any other.
    expected = "v1.0.1" if artifacts[0] == artifacts[1] else "v1.1.0"
    assert (second["version"], second["previous_version"], second["corrections"]) == (expected, "v1.0.0", 4)
    assert sum(second["people"].values()) == 40, "without who was erased, with who is new"
    assert "0 corrections, 2 needed" in retrain(pipeline, monkeypatch)[1], "they are learned"
    assert world.client.compared("face", photo, identity=kept).threshold == second["threshold"]
    pipeline.roll_back("FACE", RollbackRequest("previous", datetime.now(UTC)), "kim", "worse", "back-1")
    assert world.client.compared("face", photo).model_version == "v1.0.0"
    assert [row["version"] for row in pipeline.history("FACE")][-1] == "v1.0.0"
