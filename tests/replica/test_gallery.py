"""Enrolled faces are compared within one model's embeddings, whatever version serves (design D7)."""

import io
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
import pytest

from faceserve.errors import StorageUnavailable
from faceserve.faces.changes import shown
from faceserve.faces.enrolment import FRESH_SECONDS
from faceserve.storage import S3Source
from include.contract import faceserve_pb2 as pb
from include.contract import faceserve_pb2_grpc as pb_grpc
from include.contract.lifecycle_client import FaceserveError
from include.contract.manifest import HEAD
from tests.listening import listen
from tests.replica.world import TOKEN, replica
from tests.tiny_model import FolderSource, coloured_photo
from tests.waiting import until

PEOPLE = {
    "kim": coloured_photo(250, 20, 20),
    "lee": coloured_photo(20, 250, 20),
    "park": coloured_photo(20, 20, 250),
}
# Whoever asks while versions change may take long on a busy machine.
SETTINGS = {"gallery_uri": "s3://faces/", "drain_seconds": 60}


@pytest.fixture
def world(tmp_path):
    with replica(tmp_path, **SETTINGS) as made:
        made.serve("v1.0.0", "face")
        yield made


def enroll_everybody(world):
    for identity, photo in PEOPLE.items():
        world.lifecycle.enroll("face", identity, photo)


def who(world, photo):
    (match,) = world.client.compare("face", photo)
    return match.identity


def test_nobody_enrolled_looks_like_nobody(world):
    assert world.client.compare("face", PEOPLE["kim"]) == []


def test_an_enrolled_face_is_recognised_at_once(world):
    assert world.lifecycle.enroll("face", "kim", PEOPLE["kim"]) == 1
    (match,) = world.client.compare("face", PEOPLE["kim"])
    assert (match.identity, match.similarity) == ("kim", pytest.approx(1, abs=1e-3))


def test_matches_come_most_similar_first_and_no_more_than_asked_for(world):
    enroll_everybody(world)
    found = world.client.compare("face", coloured_photo(200, 100, 10), count=2)
    assert [match.identity for match in found] == ["kim", "lee"]


def test_enrolling_twice_replaces_the_photo(world):
    world.lifecycle.enroll("face", "kim", PEOPLE["lee"])
    assert world.lifecycle.enroll("face", "kim", PEOPLE["kim"]) == 1
    assert world.client.compare("face", PEOPLE["kim"])[0].similarity == pytest.approx(1, abs=1e-3)


def test_who_withdraws_is_forgotten_also_by_the_next_version(world):
    enroll_everybody(world)
    assert world.lifecycle.withdraw("face", "kim") == 2
    assert world.lifecycle.withdraw("face", "kim") == 2
    world.serve("v1.1.0", "face", turn=1)
    assert who(world, PEOPLE["kim"]) != "kim"


def a_head(turn, base="one network", lies=0):
    """The artifact of a version whose features are those of the base in another order, and of one that says wrong."""
    out = io.BytesIO()
    np.savez(out, matrix=np.roll(np.eye(3, dtype=np.float32), turn + lies, axis=1))
    return {"turn": turn, "beside": {HEAD: out.getvalue()}, "extra": {"base_sha256": base}}


class Counting(FolderSource):
    """How often each object is read."""

    def __init__(self):
        super().__init__()
        self.reads = Counter()

    def read(self, uri, at_most_bytes=1 << 30):
        self.reads[uri] += 1
        return super().read(uri, at_most_bytes)

    def photos_read(self):
        return sum(count for uri, count in self.reads.items() if uri.startswith("s3://faces/face/"))


@pytest.mark.parametrize(
    ("change", "embedded"),
    [({}, False), ({"lies": 1}, True), ({"base": "another network"}, True)],
    ids=["of one network", "a head that is not the model's", "of another network"],
)
def test_a_version_of_the_same_network_turns_what_the_one_before_knows_instead_of_embedding_everybody(
    tmp_path, change, embedded
):
    source = Counting()
    for number in range(60):
        colour = coloured_photo(40 + 3 * number, 250 - 4 * number, 20 + 2 * number)
        source.objects[f"s3://faces/face/p{number}"] = colour
    with replica(tmp_path, source, **SETTINGS) as made:
        made.serve("v1.0.0", "face", **a_head(0))
        before = source.photos_read()
        assert before == 60
        made.serve("v1.1.0", "face", **a_head(1, **change))
        # Some are embedded all the same, to see whether the head says what the model does.
        assert (source.photos_read() - before >= 60) == embedded
        photo = source.objects["s3://faces/face/p7"]
        assert who(made, photo) == "p7"
        (match,) = made.client.compare("face", photo)
        assert match.similarity == pytest.approx(1, abs=1e-4)
        made.lifecycle.withdraw("face", "p7")
        made.serve("v1.2.0", "face", **a_head(2))
        assert who(made, photo) != "p7", "who withdrew is in nothing that is turned"


def test_a_replica_that_starts_embeds_only_who_came_since_another_one_knew_everybody(tmp_path, monkeypatch):
    monkeypatch.setattr("faceserve.faces.enrolment._LISTED_SECONDS", 0.0)
    source = Counting()
    for number in range(60):
        colour = coloured_photo(40 + 3 * number, 250 - 4 * number, 20 + 2 * number)
        source.objects[f"s3://faces/face/p{number}"] = colour

    def all_kept():
        return b"".join(source.objects.get(uri, b"") for uri in source.names("s3://faces/face.known/", ""))

    with replica(tmp_path / "first", source, **SETTINGS) as first:
        first.serve("v1.0.0", "face", **a_head(0))
        until(lambda: b'"p7"' in all_kept(), "what is known to be kept")
        first.lifecycle.withdraw("face", "p7")
        # Whoever withdrew is in nothing that is kept, and what is kept from then on is without them.
        until(lambda: (said := all_kept()).count(b'"p') >= 59 and b'"p7"' not in said, "everybody else to be kept")
    source.objects["s3://faces/face/new"] = coloured_photo(5, 6, 250)
    with replica(tmp_path / "second", source, **SETTINGS) as second:
        before = source.photos_read()
        second.serve("v1.1.0", "face", **a_head(1))
        # Who is new, and some who show that the head says what the model does.
        assert source.photos_read() - before <= 20
        for name in ("p11", "p59", "new"):
            (match,) = second.client.compare("face", source.objects[f"s3://faces/face/{name}"])
            assert (match.identity, match.similarity) == (name, pytest.approx(1, abs=1e-4))
        assert len(second.client.compare("face", source.objects["s3://faces/face/p11"], count=99)) == 60


def test_who_was_embedded_for_a_version_that_nobody_waited_for_is_not_embedded_again_for_the_next_try(tmp_path):
    """As of a new network with 100 000 people, whose first preparation takes longer than anybody waits."""
    source = Counting()
    for number in range(60):
        source.objects[f"s3://faces/face/p{number}"] = coloured_photo(
            40 + 3 * number, 250 - 4 * number, 20 + 2 * number
        )
    with replica(tmp_path, source, **SETTINGS) as made:
        made.serve("v1.0.0", "face", **a_head(0))
        for tried, most in ((1, 80), (2, 20)):
            before = source.photos_read()
            made.prepare("v2.0.0", "face", **a_head(1, base="another network"))
            assert source.photos_read() - before <= most, f"try {tried}"
            made.lifecycle.discard("face", "v2.0.0")
        made.serve("v2.0.0", "face", **a_head(1, base="another network"))
        assert who(made, source.objects["s3://faces/face/p7"]) == "p7"


@pytest.mark.parametrize("when", ["during the first try", "between the tries"])
@pytest.mark.parametrize("act", ["enroll", "withdraw"])
def test_nor_where_somebody_comes_or_goes_meanwhile(tmp_path, monkeypatch, act, when):
    source, happens = Counting(), []
    for number in range(60):
        source.objects[f"s3://faces/face/p{number}"] = coloured_photo(40 + 3 * number, 250 - 4 * number, 20)

    def change():
        made.lifecycle.enroll("face", "new", PEOPLE["kim"]) if act == "enroll" else made.lifecycle.withdraw(
            "face", "p7"
        )

    def read(uri, at_most_bytes=1 << 30):
        if uri == "s3://faces/face/p9" and happens:
            happens.pop()()
        return Counting.read(source, uri, at_most_bytes)

    monkeypatch.setattr(source, "read", read)
    with replica(tmp_path, source, **SETTINGS) as made:
        made.serve("v1.0.0", "face", **a_head(0))
        if when == "during the first try":
            happens.append(change)
        made.prepare("v2.0.0", "face", **a_head(1, base="another network"))
        made.lifecycle.discard("face", "v2.0.0")
        if when == "between the tries":
            change()
        before = source.photos_read()
        made.serve("v2.0.0", "face", **a_head(1, base="another network"))
        # Some who show that the head says what the model does, and those who were kept with whoever went.
        assert happens == [] and source.photos_read() - before <= 24
        found = {
            match.identity for match in made.client.compare("face", source.objects["s3://faces/face/p11"], count=99)
        }
        there = {f"p{number}" for number in range(60)}
        assert found == (there | {"new"} if act == "enroll" else there - {"p7"})


def test_no_change_waits_until_everybody_is_embedded(world, tmp_path, monkeypatch):
    """As after a restart while the store was away: nobody is known yet, and all are embedded by whoever looks first."""
    enroll_everybody(world)
    plain, read_photo, go_on = world.source.marks, world.source.read, threading.Event()

    def away(prefix):
        raise StorageUnavailable("S3: timed out")

    def read(uri, at_most_bytes=1 << 30):
        if uri.startswith("s3://faces/face/"):
            assert go_on.wait(60)
        return read_photo(uri, at_most_bytes)

    monkeypatch.setattr(world.source, "marks", away)
    with replica(tmp_path, world.source, **SETTINGS) as restarted:
        monkeypatch.setattr(world.source, "read", read)
        monkeypatch.setattr(world.source, "marks", plain)
        for _ in range(2):
            assert restarted.lifecycle.withdraw("face", "kim") == 0, "how many are left is not known yet"
        assert restarted.lifecycle.enroll("face", "new", PEOPLE["kim"]) == 0
        go_on.set()
        until(lambda: knows_all(restarted, {"lee", "park", "new"}), "everybody to be embedded")


def knows_all(world, names):
    try:
        return {match.identity for match in world.client.compare("face", PEOPLE["lee"], count=9)} == names
    except FaceserveError:
        return False


def test_a_new_version_knows_everybody_in_its_own_embeddings(world):
    enroll_everybody(world)
    world.serve("v1.1.0", "face", turn=1)
    assert {who(world, photo) for photo in PEOPLE.values()} == set(PEOPLE)
    assert all(world.client.compare("face", photo)[0].similarity > 0.99 for photo in PEOPLE.values())


def test_who_enrolls_while_a_candidate_waits_is_known_to_it_too(world):
    world.prepare("v1.1.0", "face", turn=1)
    world.lifecycle.enroll("face", "kim", PEOPLE["kim"])
    world.lifecycle.activate("face", "v1.1.0")
    assert who(world, PEOPLE["kim"]) == "kim"


def test_a_restarted_replica_knows_everybody(world, tmp_path):
    enroll_everybody(world)
    with replica(tmp_path, world.source, **SETTINGS) as restarted:
        assert {who(restarted, photo) for photo in PEOPLE.values()} == set(PEOPLE)


def test_while_versions_change_no_comparison_mixes_two_embedding_spaces(world):
    """Each version turns the colours: a vector of one beside a gallery of another would name somebody else."""
    enroll_everybody(world)
    found, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            for identity, photo in PEOPLE.items():
                (match,) = world.client.compare("face", photo)
                found.append((identity, match.identity, round(match.similarity, 2)))
            # Askers that never pause take the processor from what is prepared.
            stop.wait(0.005)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for number in range(1, 13):
        world.serve(f"v1.{number}.0", "face", turn=number)
        world.lifecycle.enroll("face", "lee", PEOPLE["lee"])
        until(lambda least=3 * number: len(found) >= least, "some to ask meanwhile")
    stop.set()
    for asker in askers:
        asker.join()
    assert {(asked == answered, similarity) for asked, answered, similarity in found} == {(True, 1.0)}


def test_while_a_candidate_embeds_everybody_the_version_that_serves_goes_on_comparing(world, monkeypatch):
    enroll_everybody(world)
    plain, embeds, go_on = world.source.read, threading.Event(), threading.Event()

    def read(uri, at_most_bytes=1 << 30):
        if uri.startswith("s3://faces/face/"):
            embeds.set()
            assert go_on.wait(60)
        return plain(uri, at_most_bytes)

    monkeypatch.setattr(world.source, "read", read)
    preparing = threading.Thread(target=world.prepare, args=("v1.1.0", "face"), kwargs={"turn": 1})
    preparing.start()
    assert embeds.wait(60)
    stale_at = time.monotonic() + FRESH_SECONDS
    until(lambda: who(world, PEOPLE["kim"]) == "kim" and time.monotonic() > stale_at, "a look to grow stale")
    assert {who(world, photo) for photo in PEOPLE.values()} == set(PEOPLE)
    go_on.set()
    preparing.join()
    world.lifecycle.activate("face", "v1.1.0")
    assert {who(world, photo) for photo in PEOPLE.values()} == set(PEOPLE)


@pytest.mark.parametrize(
    ("identity", "photo", "reason"),
    [
        ("", PEOPLE["kim"], "letters"),
        ("../../models/face", PEOPLE["kim"], "letters"),
        ("a" * 101, PEOPLE["kim"], "too long"),
        ("kim", b"", "0 bytes"),
        ("kim", b"not a photo", "JPEG"),
    ],
)
def test_nonsense_is_not_enrolled(world, identity, photo, reason):
    with pytest.raises(FaceserveError, match=reason) as caught:
        world.lifecycle.enroll("face", identity, photo)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert not world.source.marks("s3://faces/")


def test_without_a_gallery_nobody_can_be_enrolled(tmp_path):
    with replica(tmp_path, FolderSource()) as world, pytest.raises(FaceserveError, match="FACESERVE_GALLERY_URI"):
        world.lifecycle.enroll("face", "kim", PEOPLE["kim"])


class Ailing(BaseHTTPRequestHandler):
    """S3 that takes everything, lists one person and, instead of any object, says `status`: with a checksum."""

    status = 500

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say(200, b"")

    def do_GET(self):
        if "list-type" in self.path:
            kim = b"<Contents><Key>face/kim</Key><ETag>1</ETag></Contents>"
            self._say(200, b"<ListBucketResult>" + kim + b"</ListBucketResult>")
        else:
            code = b"NoSuchKey" if self.status == 404 else b"Trouble"
            self._say(self.status, b"<Error><Code>%b</Code></Error>" % code, ("x-amz-checksum-crc32", "AAAAAA=="))

    def _say(self, status, body, *headers):
        self.send_response(status)
        for name, value in (("Content-Length", str(len(body))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Quiet."""


class FacesInS3(FolderSource):
    """Only the faces are in S3; who reads one waits for no second try."""

    def __init__(self, endpoint):
        super().__init__()
        faces = S3Source(endpoint, hurried=True)

        def of(name, plain):
            return lambda uri, *more: (getattr(faces, name) if uri.startswith("s3://faces/") else plain)(uri, *more)

        for name in ("read", "write", "marks"):
            setattr(self, name, of(name, getattr(self, name)))


@pytest.fixture
def ailing(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    class Own(Ailing):
        """One for each test."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        listen(server)
        with replica(tmp_path, FacesInS3(f"http://127.0.0.1:{server.server_port}"), **SETTINGS) as world:
            Own.status = 404
            world.serve("v1.0.0", "face")
            yield Own, world
        server.shutdown()


def enrolled_once(world):
    """By a client that does not ask again by itself."""
    with grpc.insecure_channel(world.lifecycle_address, [("grpc.enable_retries", 0)]) as channel:
        asked = pb.EnrollRequest(model="face", identity="kim", image=PEOPLE["kim"])
        who_asks = (("authorization", f"Bearer {TOKEN}"),)
        return pb_grpc.LifecycleStub(channel).Enroll(asked, timeout=120, metadata=who_asks).enrolled


def test_a_fault_of_the_store_while_somebody_is_enrolled_may_pass(ailing):
    store, world = ailing
    assert enrolled_once(world) == 0, "whose photo is gone again"
    store.status = 500
    with pytest.raises(grpc.RpcError) as caught:
        enrolled_once(world)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


ODD = {
    "": b"",
    "folder/": b"",
    "folder/kim": PEOPLE["kim"],
    "notes.txt": b"not a photo",
    "broken": PEOPLE["kim"][:40],
    "tiny": coloured_photo(1, 2, 3)[:1],
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_object_among_the_photos_is_set_aside_and_blocks_nothing(world, name, caplog):
    enroll_everybody(world)
    world.source.objects[f"s3://faces/face/{name}"] = ODD[name]
    world.serve("v1.1.0", "face", turn=1)
    assert {who(world, photo) for photo in PEOPLE.values()} == set(PEOPLE)
    assert f"{shown(name)} in s3://faces/face/ is set aside" in caplog.text
    count = world.server.metrics.registry.get_sample_value("faceserve_gallery_set_aside", {"model": "face"})
    assert count == 1


def test_a_replica_comes_back_without_the_gallerys_store_and_compares_when_it_is_there(world, tmp_path, monkeypatch):
    enroll_everybody(world)
    plain = world.source.marks

    def away(prefix):
        raise StorageUnavailable("S3: timed out")

    monkeypatch.setattr(world.source, "marks", away)
    with replica(tmp_path, world.source, **SETTINGS) as restarted:
        assert restarted.client.classify("face", PEOPLE["kim"]).model_version == "v1.0.0"
        with pytest.raises(FaceserveError, match="the gallery could not be read yet") as caught:
            who(restarted, PEOPLE["kim"])
        assert caught.value.code == "UNAVAILABLE"
        with pytest.raises(FaceserveError, match="timed out"):
            restarted.prepare("v1.1.0", "face", turn=1)
        monkeypatch.setattr(world.source, "marks", plain)
        until(lambda: knows(restarted, "kim"), "the gallery to be read")


def knows(world, identity):
    try:
        return who(world, PEOPLE[identity]) == identity
    except FaceserveError:
        return False


def test_who_looks_alike_comes_with_what_it_takes_to_count_as_one_person(world):
    enroll_everybody(world)
    strange = coloured_photo(200, 100, 10)
    found = world.client.compared("face", strange)
    assert (found.threshold, found.recognised) == (None, None), "this model tells no people apart"
    world.serve("v1.1.0", "face", threshold=0.999)
    found = world.client.compared("face", strange, count=2)
    assert (found.threshold, found.model_version, found.recognised) == (0.999, "v1.1.0", None)
    assert [match.identity for match in found.matches] == ["kim", "lee"]
    kim = world.client.compared("face", PEOPLE["kim"]).recognised
    assert kim is not None and kim.identity == "kim"


def test_a_photo_is_compared_with_one_person_alone_whoever_looks_more_alike(world):
    enroll_everybody(world)
    world.serve("v1.1.0", "face", threshold=0.75)
    (lee,) = world.client.compared("face", PEOPLE["kim"], identity="lee", count=3).matches
    assert lee.identity == "lee" and lee.similarity < 0.75
    assert world.client.compared("face", PEOPLE["kim"], identity="lee").recognised is None
    assert world.client.compared("face", PEOPLE["kim"], identity="kim").recognised.identity == "kim"
    world.lifecycle.withdraw("face", "kim")
    for stranger in ("kim", "nobody", "no name/\U0001f600" + "x" * 200):
        assert world.client.compared("face", PEOPLE["kim"], identity=stranger).matches == ()


def test_the_more_people_are_enrolled_the_more_alike_a_photo_has_to_be_before_somebody_is_named(world):
    world.serve("v1.1.0", "face", threshold=0.75, identification=((1, 0.8), (2, 0.9)))
    found = {}
    for number, (identity, photo) in enumerate(PEOPLE.items(), 1):
        world.lifecycle.enroll("face", identity, photo)
        among, alone = (world.client.compared("face", photo, identity=asked) for asked in ("", identity))
        found[number] = among.enrolled, among.threshold
        assert (alone.enrolled, alone.threshold, alone.recognised.identity) == (1, 0.75, identity)
    assert found == {1: (1, 0.8), 2: (2, 0.9), 3: (3, 2.0)}
    assert world.client.compared("face", PEOPLE["kim"]).recognised is None, "of more than it was made for, nobody"


def test_the_threshold_changes_with_the_version_and_back(world):
    enroll_everybody(world)
    world.serve("v1.1.0", "face", threshold=0.75)
    world.serve("v1.2.0", "face", threshold=0.5)
    assert world.client.compared("face", PEOPLE["kim"]).threshold == 0.5
    world.lifecycle.rollback("face", "v1.1.0")
    assert world.client.compared("face", PEOPLE["kim"]).threshold == 0.75


@pytest.mark.parametrize(
    ("artifact", "why"),
    [
        ({"golden_turn": 1, "threshold": 0.5}, "golden predictions differ by"),
        ({"threshold": float("nan")}, "has the threshold nan, which is no cosine"),
        ({"threshold": 1.5}, "has the threshold 1.5, which is no cosine"),
        ({"threshold": -1.0}, "has the threshold -1.0, which is no cosine"),
        ({"threshold": "0.5"}, "has the threshold '0.5', which is no cosine"),
        ({"threshold": True}, "has the threshold True, which is no cosine"),
        ({"threshold": 0.5, "identification": ((1, 2.0),)}, "has the threshold 2.0, which is no cosine"),
        ({"threshold": 0.5, "identification": ((1, 0.4),)}, "below that among fewer"),
        ({"threshold": 0.5, "identification": ((1, 0.6), (9, 0.5))}, "below that among fewer"),
        ({"identification": ((1, 0.6),)}, "below that among fewer"),
        ({"threshold": 0.5, "identification": ((9, 0.6), (1, 0.7))}, "no ascending numbers"),
        ({"threshold": 0.5, "identification": (("a", 0.6),)}, "no ascending numbers"),
        ({"threshold": 0.5, "identification": ((1, 0.6, 7),)}, "cannot be read"),
    ],
)
def test_a_model_that_would_compare_otherwise_than_it_was_judged_is_refused(world, artifact, why):
    with pytest.raises(FaceserveError, match=why):
        world.serve("v1.1.0", "face", **artifact)
    world.serve("v1.2.0", "face", threshold=0.5)
