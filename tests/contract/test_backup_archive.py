"""Where backups are kept, and when they last succeeded: fakes and real ones through the same cases."""

import io
from datetime import timedelta

import pytest

from pipeline.adapters.backup_archive import S3BackupArchive
from pipeline.adapters.safeguard_table import SafeguardTable
from pipeline.domain.backups import Base, Needless, Safeguard, Segment
from tests.builders import NOW
from tests.fakes.backups import FakeBackupArchive, FakeSafeguards


@pytest.fixture(params=["fake", pytest.param("s3", marks=pytest.mark.integration)])
def archive(request, tmp_path):
    if request.param == "fake":
        return FakeBackupArchive()
    services = request.getfixturevalue("services")
    return S3BackupArchive(f"s3://backups/{tmp_path.name}/", endpoint=services.stack.s3_endpoint)


@pytest.fixture(params=["fake", pytest.param("postgres", marks=pytest.mark.integration)])
def safeguards(request):
    return FakeSafeguards() if request.param == "fake" else SafeguardTable(request.getfixturevalue("services").mlops)


def a_file(folder, number):
    path = folder / str(Segment(number, 1))
    path.write_bytes(f"log {number}".encode())
    return path


def test_a_copy_is_there_once_it_is_described(archive):
    written = archive.write_copy("one", io.BytesIO(b"everything"))
    assert written == 10 and archive.contents().bases == ()
    made = Base("one", Segment(3, 1), NOW, written)
    archive.finish(made)
    assert archive.contents().bases == (made,)
    with archive.read_copy(made) as copy:
        assert copy.read() == b"everything"


def test_the_log_is_kept_by_its_names_and_comes_back(archive, tmp_path):
    for number in (2, 1):
        archive.keep_log(a_file(tmp_path, number))
    (tmp_path / "00000002.history").write_bytes(b"history")
    archive.keep_log(tmp_path / "00000002.history")
    names = (str(Segment(1, 1)), str(Segment(2, 1)), "00000002.history")
    assert archive.contents().log == names
    assert archive.has_log(names[0]) and not archive.has_log(str(Segment(9, 1)))
    into = tmp_path / "into"
    into.mkdir()
    archive.fetch_log(names, into)
    assert sorted(path.name for path in into.iterdir()) == sorted(f"{name}.gz" for name in names)


def test_what_is_forgotten_is_gone_and_nothing_else(archive, tmp_path):
    made = [Base(name, Segment(number, 1), NOW, 1) for number, name in enumerate(("old", "new"), start=1)]
    for one in made:
        archive.write_copy(one.name, io.BytesIO(b"x"))
        archive.finish(one)
    for number in (1, 2):
        archive.keep_log(a_file(tmp_path, number))
    archive.forget(Needless((made[0],), (str(Segment(1, 1)),)))
    assert archive.contents().bases == (made[1],) and archive.contents().log == (str(Segment(2, 1)),)


def test_the_newest_success_counts(safeguards):
    assert safeguards.newest() == {}
    for hours in (2, 3, 1):
        safeguards.note(Safeguard.BASE, NOW + timedelta(hours=hours), "a copy")
    safeguards.note(Safeguard.LOG, NOW, "")
    assert safeguards.newest() == {Safeguard.BASE: NOW + timedelta(hours=3), Safeguard.LOG: NOW}
    safeguards.withdraw()
    assert safeguards.newest() == {}
