"""How much memory a container has left, whichever way the kernel says it, and what goes back to it."""

import subprocess
import sys

import pytest

from faceserve.machine.memory import room_bytes

MB = 1 << 20


def cgroup(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_at_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return folder


def second(folder, limit):
    stat = f"anon 7\ninactive_file {100 * MB}"
    return cgroup(folder, memory_at_max=limit, memory_at_current=600 * MB, memory_at_stat=stat)


def first(folder, limit):
    stat = f"cache 7\ntotal_inactive_file {100 * MB}"
    return cgroup(
        folder,
        memory__memory_at_limit_in_bytes=limit,
        memory__memory_at_usage_in_bytes=600 * MB,
        memory__memory_at_stat=stat,
    )


@pytest.mark.parametrize("made", [first, second])
def test_room_is_what_the_limit_leaves_and_pages_of_files_count_as_room(tmp_path, made):
    assert room_bytes(made(tmp_path, 1024 * MB)) == 524 * MB


def test_without_a_limit_there_is_no_end_of_it(tmp_path):
    assert room_bytes(tmp_path) == float("inf")
    assert room_bytes(second(tmp_path, "max")) == float("inf")


def test_the_first_versions_way_to_say_no_limit(tmp_path):
    assert room_bytes(first(tmp_path, 9223372036854771712)) == float("inf")


_LARGE = """
from faceserve.machine.memory import give_back_large, resident_bytes
give_back_large()
bytes(16 << 20)
before = resident_bytes()
held = [(b"a" * (13 << 20), b"b" * 50_000) for _ in range(20)]
between = [small for _, small in held]
del held
print(resident_bytes() - before)
"""


def test_what_a_large_photo_took_goes_back_although_smaller_things_stay():
    found = subprocess.run([sys.executable, "-c", _LARGE], capture_output=True, check=True, text=True)
    assert int(found.stdout) < 50 << 20
