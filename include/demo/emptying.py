"""A demo empties the stack before it begins: not of what somebody else brought."""

import re

from include.demo.seeding import BUCKET
from include.stack.layout import Stack
from include.stack.postgres import query
from include.stack.reset import object_storage
from include.stack.roles import OWN
from include.stack.services import StackError

# As `seeding.garments`, `doors` and `faces.visits_of` name them.
_OURS = re.compile(r"(BASE|DEMO|DRILL|YOURS)-\d{5}\.jpg|FACE-(drawn-\d{5}|\d+-\d{5})\.jpg")
_ADDRESSES = {
    "helper": "SELECT photo_url FROM tasks",
    "access": "SELECT photo_url FROM checks",
    "mlops": "SELECT photo_url FROM task_confirmations UNION SELECT photo_url FROM face_confirmations"
    " UNION SELECT photo_url FROM dataset_photos",
}
# Photos in a folder leave no address behind, but the name that somebody gave to the run. Of a face model's first run
# only the verdict tells; Airflow's DAGs begin theirs by themselves.
_RUNS = """
    SELECT run_id FROM (
        SELECT run_id FROM retraining_runs WHERE begun_by IN ('', 'command line')
        UNION SELECT run_id FROM blessings WHERE run_id NOT IN (SELECT run_id FROM retraining_runs)) r
    WHERE run_id !~ '^(demo|drill)-' ORDER BY run_id
"""
_NAMED_AT_MOST = 3


def demand_nothing_of_others(stack: Stack) -> None:
    """Raises `StackError` when something of somebody else's would be deleted."""
    found = sorted({address for address in _addresses(stack) if not _made_by_a_demo(address)})
    what = [f"{len(found)} photos, such as {', '.join(found[:_NAMED_AT_MOST])}"] if found else []
    if runs := [run_id for (run_id,) in query(stack.dsn("mlops_owner", "mlops"), _RUNS)]:
        what.append(f"what {len(runs)} runs made, such as {', '.join(runs[:_NAMED_AT_MOST])}")
    if what:
        raise StackError(
            f"{stack.root} holds what no demo made: {'; '.join(what)}. A demo begins with an empty stack and would "
            "delete it, with every model. Give the demo a stack of its own: `STACK_DIR=/elsewhere make demo`. "
            "Or delete what is there: `python -m include.stack reset`"
        )


def _addresses(stack: Stack) -> set[str]:
    rows = (query(stack.dsn(one.owner, one.name), _ADDRESSES[one.name]) for one in OWN)
    return {address for found in rows for (address,) in found} | _objects(stack)


def _objects(stack: Stack) -> set[str]:
    """Photos that wait for somebody to ask about them are somebody's, too."""
    return {f"s3://{BUCKET}/{one.key}" for one in object_storage(stack).Bucket(BUCKET).objects.all()}


def _made_by_a_demo(address: str) -> bool:
    return _OURS.fullmatch(address.removeprefix(f"s3://{BUCKET}/")) is not None
