"""One caller that asks for as much as a call can makes nobody else wait for it, nor the machine's memory."""

import struct
import subprocess
import sys
import threading
import time
import zlib
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2 as oip
from tritonclient.grpc import service_pb2_grpc

from include.contract.client import FaceserveClient
from tests.tiny_model import grey_photo
from tests.waiting import until

INFER = "/inference.GRPCInferenceService/ModelInfer"
PHOTOS, ONE = 64, 224 * 224 * 3
_CHILD = """
import sys
from pathlib import Path
from tests.replica.world import replica
with replica(Path(sys.argv[1])) as made:
    made.serve("v1.0.0")
    print(made.server.port, flush=True)
    sys.stdin.read()
"""


class Apart:
    """A replica in a process of its own, as its callers and the machine see it."""

    def __init__(self, process):
        self.address = f"127.0.0.1:{int(process.stdout.readline())}"
        self._memory = Path(f"/proc/{process.pid}")

    def peak_mb(self):
        (line,) = [line for line in (self._memory / "status").read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) >> 10

    @contextmanager
    def taking(self):
        """How much more memory was in use at any moment inside; it is there afterwards."""
        (self._memory / "clear_refs").write_text("5")
        before, found = self.peak_mb(), []
        yield found
        found.append(self.peak_mb() - before)

    def gave_up(self):
        """How many requests it has answered with an error."""
        with grpc.insecure_channel(self.address) as channel:
            asked = oip.ModelStatisticsRequest(name="laundry")
            stats = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStatistics(asked, timeout=60).model_stats
            return sum(one.inference_stats.fail.count for one in stats)


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    command = [sys.executable, "-c", _CHILD, str(tmp_path_factory.mktemp("state"))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Apart(process)
    finally:
        process.communicate("")


class Neighbour:
    """Somebody who asks all the time; `waits` are the seconds that each answer took."""

    def __init__(self, address):
        self.waits, self._over = [], threading.Event()
        self._client = FaceserveClient([address], timeout_seconds=120)
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self):
        self._thread.start()
        until(lambda: self.waits, "the neighbour to be answered")
        return self

    def __exit__(self, *exc):
        self._over.set()
        self._thread.join()
        self._client.close()

    def _ask(self):
        while not self._over.is_set():
            began = time.monotonic()
            assert self._client.classify("laundry", grey_photo(20)).model_version == "v1.0.0"
            self.waits.append(time.monotonic() - began)


def asked(address, body, seconds=240):
    """The status of a call with these bytes."""
    options = [("grpc.enable_retries", 0), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(address, options) as channel:
        try:
            channel.unary_unary(INFER)(body, timeout=seconds)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def bomb(width=440, height=220_000):
    """A PNG of a few hundred kilobytes that becomes hundreds of megabytes of pixels."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows, row = zlib.compressobj(6), bytes(1 + 3 * width) * 1000
    packed = [rows.compress(row) for _ in range(height // 1000)]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"".join([*packed, rows.flush()])) + chunk(b"IEND", b"")


def photos(*bodies):
    request = oip.ModelInferRequest(model_name="laundry")
    request.inputs.add(name="photos", datatype="BYTES", shape=[len(bodies)])
    request.inputs[0].contents.bytes_contents.extend(bodies)
    return request.SerializeToString()


def test_a_call_of_64_bombs_ends_with_its_deadline_takes_the_memory_of_one_and_others_are_answered(apart):
    large = bomb()
    assert len(large) < 600_000
    began = time.monotonic()
    with apart.taking() as by_one:
        assert asked(apart.address, photos(large)) is grpc.StatusCode.OK
    each, before = time.monotonic() - began, apart.gave_up()
    with Neighbour(apart.address) as neighbour:
        began, answered = time.monotonic(), len(neighbour.waits)
        with apart.taking() as by_all:
            assert asked(apart.address, photos(*[large] * PHOTOS), 4 * each) is grpc.StatusCode.DEADLINE_EXCEEDED
            until(lambda: apart.gave_up() > before, "it to give the call up")
        took, answered = time.monotonic() - began, len(neighbour.waits) - answered
    assert took < PHOTOS / 2 * each, "a call that nobody waits for is worked on"
    assert by_all[0] < 1.5 * by_one[0] + 4 * len(large) * PHOTOS / 1e6, (by_all, by_one)
    assert answered >= 2 and max(neighbour.waits) < took, neighbour.waits


def one_by_one(images):
    """Numbers one by one, each in as many bytes as make the message about as large as one may be."""
    request = oip.ModelInferRequest(model_name="laundry")
    request.inputs.add(name="images", datatype="UINT8", shape=[images, 224, 224, 3])
    numbers = b"\xc8\x81\x00" * (images * ONE)
    contents = b"\x22" + varint(len(numbers)) + numbers
    tensor = request.inputs[0].SerializeToString() + b"\x2a" + varint(len(contents)) + contents
    request.ClearField("inputs")
    return request.SerializeToString() + b"\x2a" + varint(len(tensor)) + tensor


def varint(number):
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


@pytest.mark.parametrize(
    ("images", "code"), [(PHOTOS, grpc.StatusCode.INVALID_ARGUMENT), (8, grpc.StatusCode.OK)], ids=["29 MB", "4 MB"]
)
def test_numbers_one_by_one_stall_nobody_however_many_they_are(apart, images, code):
    """Each becomes a number of Python's, and Python's lock is kept meanwhile: more than a few images are refused."""
    body, stalls = one_by_one(images), []
    with Neighbour(apart.address) as neighbour:
        for _ in range(8):
            before = len(neighbour.waits)
            assert asked(apart.address, body) is code
            until(lambda before=before: len(neighbour.waits) > before + 1, "the neighbour to be answered")
            stalls.append(max(neighbour.waits[before:]))
    # On a busy machine a neighbour may wait for the processor as well: once it did not.
    assert min(stalls) < 0.25, stalls
