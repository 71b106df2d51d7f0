"""A demo begins with an empty stack, and never deletes what somebody else brought."""

import pytest

from include.demo.emptying import demand_nothing_of_others
from include.stack.postgres import query
from include.stack.reset import object_storage
from include.stack.services import StackError

pytestmark = pytest.mark.integration

# Of a row only the address of its photo matters here; what else the table demands is left out.
_ROWS = {
    "a task of the Helper service": (
        "helper",
        "INSERT INTO tasks (task_id, helper_id, photo_url, ai_result) VALUES ('T', 'H', %s, '양호')",
    ),
    "a check at a door": (
        "access",
        "INSERT INTO checks (check_id, door_id, photo_url, threshold, ai_result, model_version)"
        " VALUES ('C', 'D', %s, 0.5, 'different', 'v1.0.0')",
    ),
    "a confirmation that came by message": (
        "mlops",
        "INSERT INTO task_confirmations (key, task_id, helper_id, final_result, ai_result, corrected, photo_url,"
        " confirmed_at) VALUES ('K', 'T', 'H', '양호', '양호', false, %s, now())",
    ),
    "a photo of a dataset": (
        "mlops",
        "SET LOCAL session_replication_role = replica; INSERT INTO dataset_photos (dataset_id, task_id, photo_url,"
        " sha256, cluster_id, label, source, split) VALUES ('DS', 'T', %s, 'x', 'c', '양호', 'labelled', 'train')",
    ),
}
_FACE_MODEL = (
    "INSERT INTO transitions (id, phase, model_type, kind, to_version, position, entry, request_id, at, actor, reason,"
    " requested_at)"
    " VALUES ('x', 'served', 'FACE', 'promotion', 'v1.0.0', 1, 1, 'r', now(), %s, 'first', now())"
)
OURS = ["BASE-00001", "FACE-1764385000-00012", "DEMO-01099", "YOURS-00029", "FACE-drawn-00007"]
OTHERS = ["TASK-00001", "garment", "2026/DEMO-00001", "DEMO-1", "FACE-kim"]


def put(services, where, photo):
    if where == "an object that nobody asked about yet":
        object_storage(services.stack).Bucket("tasks").put_object(Key=f"{photo}.jpg", Body=b"photo")
    else:
        database, insert = _ROWS[where]
        query(services.stack.dsn("postgres", database), insert, (f"s3://tasks/{photo}.jpg",))


WHERE = [*_ROWS, "an object that nobody asked about yet"]


@pytest.mark.parametrize("where", WHERE)
def test_a_stack_with_a_photo_that_no_demo_made_is_left_as_it_is(services, where):
    put(services, where, "TASK-00001")
    with pytest.raises(StackError, match=r"1 photos, such as s3://tasks/TASK-00001\.jpg.*STACK_DIR=.*stack reset"):
        demand_nothing_of_others(services.stack)


def test_a_name_that_is_only_like_one_of_a_demo_is_somebody_elses(services):
    for photo in OTHERS:
        put(services, "an object that nobody asked about yet", photo)
    with pytest.raises(StackError, match=f"{len(OTHERS)} photos"):
        demand_nothing_of_others(services.stack)


def test_what_an_earlier_demo_left_is_no_obstacle(services):
    for where, photo in zip(WHERE, OURS, strict=True):
        put(services, where, photo)
    for photo in OURS:
        put(services, "an object that nobody asked about yet", photo)
    demand_nothing_of_others(services.stack)


def test_a_photo_elsewhere_is_somebody_elses_whatever_it_is_called(services):
    database, insert = _ROWS["a task of the Helper service"]
    query(services.stack.dsn("postgres", database), insert, ("s3://archive/DEMO-00001.jpg",))
    with pytest.raises(StackError, match="s3://archive/DEMO-00001.jpg"):
        demand_nothing_of_others(services.stack)


def test_a_face_model_of_somebodys_portraits_is_named_with_who_had_it_made(services):
    query(services.stack.dsn("postgres", "mlops"), _FACE_MODEL, ("lee",))
    with pytest.raises(StackError, match="the face model v1.0.0 that lee had made"):
        demand_nothing_of_others(services.stack)


def test_nor_is_a_face_model_of_drawn_people_or_an_empty_stack_an_obstacle(services):
    demand_nothing_of_others(services.stack)
    query(services.stack.dsn("postgres", "mlops"), _FACE_MODEL, ("demo",))
    demand_nothing_of_others(services.stack)
