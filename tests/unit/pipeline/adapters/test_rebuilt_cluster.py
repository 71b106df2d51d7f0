"""What a rebuilt cluster leaves to the one that serves."""

import os
import tempfile
from pathlib import Path

import pytest

from pipeline.adapters.rebuilt_cluster import RebuiltCluster

_SOMEBODY = 12_345
_MEMORY = Path("/dev/shm")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_is_handed_over_belongs_to_whom_it_belonged_also_on_another_file_system(tmp_path, elsewhere):
    if elsewhere and (not _MEMORY.is_dir() or _MEMORY.stat().st_dev == tmp_path.stat().st_dev):
        pytest.skip("there is no other file system")
    cluster = RebuiltCluster(tmp_path, "15")
    (cluster.data / "base").mkdir(parents=True, mode=0o700)
    (cluster.data / "base/1").write_text("rows")
    (cluster.data / "to").symlink_to("base")
    for path in (cluster.data, *cluster.data.rglob("*")):
        os.chown(path, _SOMEBODY, _SOMEBODY, follow_symlinks=False)
    with tempfile.TemporaryDirectory(dir=_MEMORY if elsewhere else tmp_path) as folder:
        into = Path(folder) / "data"
        cluster.hand_over(into)
        found = [into, *into.rglob("*")]
        assert {path.name for path in found} == {"data", "base", "1", "to"}
        assert {(path.lstat().st_uid, path.lstat().st_gid) for path in found} == {(_SOMEBODY, _SOMEBODY)}
        assert (into / "base/1").read_text() == "rows"
