"""How long Airflow reads the DAG files, which it does again and again."""

import json
import os
import subprocess
import sys
import tempfile

from include.bench.measurement import Found, Say
from include.stack.layout import REPOSITORY

_FOLDER = REPOSITORY / "dags"
_READ = """
import json, sys, time
from airflow.dag_processing.dagbag import BundleDagBag
took = {}
for path in sys.argv[2:]:
    began = time.perf_counter()
    bag = BundleDagBag(path, safe_mode=False, load_op_links=False, bundle_path=sys.argv[1], bundle_name="dags")
    took[path] = time.perf_counter() - began
    assert not bag.import_errors, bag.import_errors
print(json.dumps(took))
"""


def dags(say: Say) -> Found:
    """Each file in a process that has read none before, as the dag-processor does it."""
    slowest = {path.name: _seconds(str(path)) for path in sorted(_FOLDER.glob("[!_]*.py"))}
    for name, took in slowest.items():
        say(f"{name}: {took:.2f} s")
    return Found(
        {"dag_files": len(slowest), "dag_seconds_all": sum(slowest.values()), "dag_seconds_max": max(slowest.values())},
        "each file in a process of its own that has imported Airflow",
    )


def _seconds(path: str) -> float:
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        variables = {
            **os.environ,
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(_FOLDER),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
            "PYTHONPATH": str(REPOSITORY),
        }
        command = [sys.executable, "-c", _READ, str(_FOLDER), path]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])[path])
