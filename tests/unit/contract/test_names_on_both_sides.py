"""What has to be written twice, because one side may not import the other, is the same word."""

import re
from pathlib import Path

from include.contract import manifest, signature
from pipeline.domain import artifact_folder
from pipeline.domain.troubles import MONITOR

ROOT = Path(__file__).parents[3]


def test_the_pipeline_writes_the_files_of_an_artifact_that_model_servers_read():
    assert (artifact_folder.MANIFEST, artifact_folder.SIGNATURE) == (manifest.MANIFEST, signature.SIGNATURE)


def test_whoever_looks_at_the_monitor_means_the_dag_of_that_name():
    assert f"def {MONITOR}()" in (ROOT / f"dags/{MONITOR}.py").read_text()
    for watcher in ("include/stack/outside_look.py", "plugins/model_rollout/roll_back.py"):
        assert re.findall(r'^_?[A-Z]+ = "(\w*monitor)"$', (ROOT / watcher).read_text(), re.MULTILINE) == [MONITOR]
