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
_VERDICT = (
    "INSERT INTO blessings (id, run_id, model_type, accepted, verdict, decided_at)"
    " VALUES (%s, %s, 'FACE', false, '{}', now())"
)
_RUN = (
    "INSERT INTO retraining_runs (run_id, model_type, begun_at, begun_by, ended_at, outcome)"
    " VALUES (%s, 'LAUNDRY', now(), 'command line', now(), 'failed')"
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


@pytest.mark.parametrize("insert", [_VERDICT, _RUN], ids=["a model that was judged", "a run that began"])
def test_what_somebody_made_of_a_folder_is_named_by_its_run_whatever_a_demo_made_before(services, insert):
    for run_id in ("demo-faces-1764385000", "faces-1"):
        query(services.stack.dsn("postgres", "mlops"), insert, (run_id,) * insert.count("%s"))
    with pytest.raises(StackError, match="what 1 runs made, such as faces-1"):
        demand_nothing_of_others(services.stack)


def test_nor_are_runs_of_a_demo_and_of_airflow_or_an_empty_stack_an_obstacle(services):
    demand_nothing_of_others(services.stack)
    by_intake, forced = "corrections-20261129T052755-4c20b8d9", "manual__2026-11-29T03:11:59+00:00"
    for run_id in ("demo-first-1", by_intake, forced):
        begun_by = "laundry_model_retraining" if run_id in {by_intake, forced} else "command line"
        query(services.stack.dsn("postgres", "mlops"), _RUN.replace("command line", begun_by), (run_id,))
        query(services.stack.dsn("postgres", "mlops"), _VERDICT, (run_id, run_id))
    demand_nothing_of_others(services.stack)
