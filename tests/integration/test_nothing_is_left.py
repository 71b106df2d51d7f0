"""After an erasure no row of any table and no object of any bucket has the photo, its picture or its address."""

import base64
import json
import uuid

import cv2
import numpy as np
import psycopg2
import pytest

from include.stack.layout import BUCKETS
from include.stack.postgres import query
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.dataset import Split
from pipeline.domain.faces.dataset import person_key
from pipeline.domain.faces.gallery_log import WITHDRAWAL
from pipeline.domain.lineage import Erased
from pipeline.settings import Settings
from tests.builders import NOW, an_event
from tests.integration.test_datasets import World

pytestmark = pytest.mark.integration

# Of keys no sentence is made, and what a task's own row calls its address goes with the task.
COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, NULL),
        EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey))
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE '%%yoyo%%'
        AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY 1, a.attnum"""
# What refers to something else, or is one of a few words, is no sentence.
WORDS = {
    "model_type": "LAUNDRY",
    "model_version": "v1.0.0",
    "dataset_id": "DS-2020-001",
    "run_id": "of before",
    "task_id": "T",
    "check_id": "C",
}
# What a CHECK asks for.
ONE_OF = {
    ("transitions", "phase"): "noted",
    ("transitions", "position"): None,
    ("blessing_overrides", "kind"): "forced",
    ("withholdings", "scope"): "branch",
    ("safeguards", "kind"): "base",
    ("correction_days", "counted_by"): "received",
    ("face_readings", "state"): "ok",
    ("task_confirmations", "ai_result"): "양호",
    ("task_confirmations", "final_result"): "불량",
    ("face_confirmations", "ai_result"): "same",
    ("face_confirmations", "final_result"): "different",
    ("holdout_photos", "sha256"): "a",
}
# As the contact sheet shows them.
SHOWN_PIXELS = 112
PLAIN = {"boolean": True, "integer": 7, "bigint": 7, "double precision": 0.5, "numeric": 7, "date": "2026-05-04"}
PLAIN |= {"integer[]": [7], "timestamp with time zone": "2026-05-04T12:00:00Z", "timestamp with time zone[]": "{}"}


def value(table, column, kind, is_key, address):
    """Wherever somebody may write anything, it names the address in the middle of a sentence."""
    sentence = f"no photo at {address}; was it {address}, or {address}0?"
    if (table, column) in ONE_OF:
        return ONE_OF[table, column]
    if column == "photo_url":
        return "s3://tasks/another.jpg"
    if column in WORDS and not is_key:
        return WORDS[column]
    if kind == "text":
        return uuid.uuid4().hex[:16] if is_key else sentence
    if kind == "text[]":
        return [sentence]
    if kind == "jsonb":
        return json.dumps({"said": [sentence], address: "2026-05-04T12:00:00+00:00"}, ensure_ascii=False)
    return PLAIN[kind]


def said_everywhere(stack, address):
    """A row in every table, whatever it refers to, that names the address wherever text may stand; where it does."""
    tables = {}
    for table, column, kind, is_key in query(stack.dsn("mlops_owner", "mlops"), COLUMNS):
        tables.setdefault(table, {})[column] = value(table, column, kind, is_key, address)
    connection = psycopg2.connect(stack.dsn("postgres", "mlops"))
    with connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for table, row in tables.items():
            named, values = ", ".join(row), list(row.values())
            cursor.execute(f"INSERT INTO {table} ({named}) VALUES ({', '.join(['%s'] * len(row))})", values)
    connection.close()
    return {table for table, row in tables.items() if "no photo at" in str(list(row.values()))}


def rows_that_name(stack, address):
    """Where any column of any table has it, in whatever form a row prints it."""
    dsn, found, said = stack.dsn("mlops_owner", "mlops"), [], json.dumps(address, ensure_ascii=False)[1:-1]
    for table in dict.fromkeys(table for table, *_ in query(dsn, COLUMNS)):
        for (row,) in query(dsn, f"SELECT to_jsonb(t)::text FROM {table} t"):
            if said in json.dumps(json.loads(row), ensure_ascii=False).replace(f"{said}0", ""):
                found.append((table, row))
    return found


def objects_that_show(s3, address, photo, buckets=BUCKETS):
    """Where the address, the photo's bytes or a picture of it lies."""
    forms = (address.encode(), json.dumps(address).encode(), photo, base64.b64encode(photo))
    pages = [(b, one["Key"]) for b in buckets for one in s3.list_objects_v2(Bucket=b).get("Contents", ())]
    bodies = ((f"{b}/{key}", s3.get_object(Bucket=b, Key=key)["Body"].read()) for b, key in pages)
    return [name for name, body in bodies if any(form in body for form in forms) or is_drawn(photo, body)]


def is_drawn(photo, body):
    """Whether the photo, as small as pages show photos, is part of the picture."""
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR) if body[:4] == b"\x89PNG" else None
    whole = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    small = cv2.resize(whole, (SHOWN_PIXELS, SHOWN_PIXELS), interpolation=cv2.INTER_AREA)
    if picture is None or min(picture.shape[:2]) < SHOWN_PIXELS:
        return False
    return cv2.matchTemplate(picture, small, cv2.TM_CCOEFF_NORMED).max() > 0.85


def photo_of(world, row):
    return world.s3.get_object(Bucket="tasks", Key=row.photo_url.removeprefix("s3://tasks/"))["Body"].read()


def test_no_row_and_no_object_has_a_photo_that_was_erased(services):
    world = World(services)
    dataset_id = world.prepare()["dataset_id"]
    world.pipeline.validate(dataset_id)
    sheet = world.read(f"{dataset_id}/contact-sheet.png")
    train = [(one, photo_of(world, one)) for one in world.manifest(dataset_id).of(Split.TRAIN)]
    row, photo = next((one, photo) for one, photo in train if is_drawn(photo, sheet))
    address = row.photo_url
    world.pipeline._w.confirmations.store([an_event("own", task_id=row.task_id, photo_url=address)])
    tables = said_everywhere(services.stack, address)
    assert {table for table, _ in rows_that_name(services.stack, address)} == tables
    ours = [bucket for bucket in BUCKETS if bucket != "tasks"]
    before = objects_that_show(world.s3, address, photo, ours)
    assert any(name.endswith("manifest.json") for name in before) and any(name.endswith(".png") for name in before)
    done = world.pipeline.erase_photo(row.task_id, actor="kim", reason="asked by the customer")
    assert rows_that_name(services.stack, address) == []
    assert objects_that_show(world.s3, address, photo, ours) == []
    assert done["addresses"] == [address] and any(address in one for one in done["left"])


def test_an_append_only_row_loses_an_address_and_nothing_else(services):
    said_everywhere(services.stack, "s3://tasks/1.jpg")
    dsn = services.stack.dsn("mlops", "mlops")
    struck = "SELECT set_config('erasure.addresses', '{s3://tasks/1.jpg}', true);"
    for statement in (
        "UPDATE blessings SET accepted = NOT accepted",
        f"{struck} UPDATE blessings SET accepted = NOT accepted",
        f"{struck} UPDATE transitions SET actor = ''",
        f"{struck} UPDATE transitions SET actor = '(erased)'",
        f"{struck} DELETE FROM transitions",
        "SELECT set_config('erasure.addresses', '{no}', true); UPDATE transitions SET actor = replace(actor, 'no', '')",
    ):
        with pytest.raises(psycopg2.errors.RaiseException):
            query(dsn, f"{statement} RETURNING 1")


@pytest.mark.parametrize(
    "address", ["s3://tasks/a b(1)+[2].jpg", "s3://tasks/한글\\n\"'{}.jpg", "s3://tasks/%2F?x=1&y#z"]
)
def test_any_address_is_struck_as_it_is(services, address):
    said_everywhere(services.stack, address)
    erasures = Wiring(Settings(mlops_dsn=services.stack.dsn("mlops", "mlops"))).erasures
    assert rows_that_name(services.stack, address)
    erasures.strike([address])
    assert rows_that_name(services.stack, address) == []
    assert erasures.strike([address]) == {}, "a second time changes nothing"


# What follows an address in a text: other addresses, one version of the same, or the sentence.
LONGER = ["0", " (2).jpg", "한.jpg", "=2.jpg", "/2.jpg", ".bak", "%20a", "?a=1 b.jpg", "\\2'\"[.jpg"]
VERSIONS = ["", "?versionId=3", "#top", "?versionId=aZ.9_-~&x=/y", "?v"]
GOES_ON = ["", ".", ", and", ")", " is gone", "에 없다", "?", "#", "; (2)", "\n(2).jpg", '"', "\\n"]


def written(stack, photo_urls, reasons):
    """Photos that a table knows, and an append-only row for each text, whatever they refer to."""
    connection = psycopg2.connect(stack.dsn("postgres", "mlops"))
    with connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for n, url in enumerate(photo_urls):
            cursor.execute("INSERT INTO set_aside_tasks VALUES ('DS-2020-001', %s, %s, 'unusable', '')", (f"K{n}", url))
        for n, reason in enumerate(reasons):
            cursor.execute(
                "INSERT INTO blessing_overrides (run_id, kind, actor, reason, decided_at)"
                " VALUES (%s, 'forced', 'kim', %s, now())",
                (f"t{n}", reason),
            )
    connection.close()


@pytest.mark.parametrize("address", ["s3://b/1", "s3://b/a (1)+[2].jpg", "s3://b/한\\n'\"{}"])
def test_longer_addresses_stay_whole_and_versions_of_the_same_go(services, address):
    longer = [f"{address}{more}" for more in LONGER]
    stays = {one: one for one in [*longer, *(f"no photo at {one}: {one}" for one in longer)]}
    goes = {
        f"{before}{address}{version}{after}": f"{before}(erased){after}"
        for before in ("", "no photo at ")
        for version in VERSIONS
        for after in GOES_ON
    }
    said = {**stays, **goes, f"{longer[1]}, {address}": f"{longer[1]}, (erased)"}
    written(services.stack, [*longer, address], said)
    erasures = Wiring(Settings(mlops_dsn=services.stack.dsn("mlops", "mlops"))).erasures
    assert erasures.strike([address]) == {"blessing_overrides": len(goes) + 1}
    dsn = services.stack.dsn("mlops_owner", "mlops")
    found = dict(query(dsn, "SELECT run_id, reason FROM blessing_overrides"))
    assert {text: found[f"t{n}"] for n, text in enumerate(said)} == said
    assert erasures.strike([address]) == {}, "a second time changes nothing"
    assert erasures.strike([address, *longer]) == {"blessing_overrides": len(stays) + 1}
    assert not [reason for (reason,) in query(dsn, "SELECT reason FROM blessing_overrides") if address in reason]


def test_who_was_erased_comes_back_neither_with_a_copy_of_the_gallery_nor_with_one_of_the_datasets(services):
    world = World(services)
    dataset_id = world.prepare()["dataset_id"]
    row = world.manifest(dataset_id).of(Split.TRAIN)[0]
    photo = photo_of(world, row)
    names = ("kim", "KIM", "ｋｉｍ", "kimchi", "박")
    for name in names:
        world.s3.put_object(Bucket="faces", Key=f"face/{name}", Body=photo)
    copy = [
        (bucket, one["Key"], world.s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read())
        for bucket in ("datasets", "faces")
        for one in world.s3.list_objects_v2(Bucket=bucket)["Contents"]
    ]
    world.pipeline.erase_photo(row.task_id, actor="kim", reason="asked by the customer")
    world.pipeline._w.erasures.record(Erased(person_key("kim"), (), "kim", "withdrew", NOW))
    clean = world.objects(dataset_id)
    for bucket, name, body in copy:
        world.s3.put_object(Bucket=bucket, Key=name, Body=body)
    assert objects_that_show(world.s3, row.photo_url, photo, ["datasets"])
    done = world.pipeline.erase_again()
    assert (done["erased_again"], done["left_the_gallery"]) == (0, 2)
    left = {one["Key"] for one in world.s3.list_objects_v2(Bucket="faces")["Contents"]}
    (told,) = (key for key in left if key.startswith("face.changes/"))
    assert "kim" not in told and world.s3.get_object(Bucket="faces", Key=told)["Body"].read() == WITHDRAWAL
    assert left - {told} == {"face/KIM", "face/kimchi", "face/박", "face.revision"}, (
        "in every form of the name, and no other"
    )
    assert objects_that_show(world.s3, row.photo_url, photo, ["datasets"]) == []
    assert world.objects(dataset_id) == clean
    world.unseen_demand(dataset_id)([p.task_id for p in world.manifest(dataset_id).of(Split.TRAIN)])
    again = world.pipeline.erase_again()
    assert (again["left_the_gallery"], world.objects(dataset_id)) == (0, clean), "a second time changes nothing"
