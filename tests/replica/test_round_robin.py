"""Clients that know a fleet as one name, as in Kubernetes, ask whoever serves and lose nothing when one leaves."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from faceserve.load_test import Plan, round_robin, run
from tests.replica.world import replica
from tests.tiny_model import grey_photo

DARK = grey_photo(20)


def test_a_replica_without_a_model_is_left_out_and_one_that_leaves_takes_no_request_with_it(tmp_path):
    with replica(tmp_path / "stays") as stays, replica(tmp_path / "empty") as empty, ThreadPoolExecutor() as pool:
        stays.serve("v1.0.0")
        with replica(tmp_path / "leaves", stays.source, drain_seconds=60) as leaves:
            leaves.serve("v1.0.0")
            addresses = [empty.address, leaves.address, stays.address]
            load = pool.submit(run, Plan(addresses, "laundry", [DARK], seconds=1.5, round_robin=True))
        requests = load.result()
    assert requests
    assert {(one.code, one.version) for one in requests} == {("OK", "v1.0.0")}


def test_what_clients_are_told_to_do_is_what_the_load_test_does():
    text = (Path(__file__).parents[2] / "faceserve/README.md").read_text()
    (told,) = re.findall(r"```json\n(.+?)```", text, re.DOTALL)
    assert json.loads(told) == round_robin("laundry")
