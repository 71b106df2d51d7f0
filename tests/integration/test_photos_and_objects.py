"""S3 as the pipeline sees it: photos from allowed places only, objects written and read back."""

import time
import urllib.request
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from faceserve.storage import S3Source
from include.helper_service.wire import NewTask
from include.stand_in.photos import NoPhoto, Photos, PhotosAway
from pipeline.adapters import s3
from pipeline.adapters.glacier import GlacierArchive
from pipeline.adapters.photo_folders import photo_folder
from pipeline.adapters.s3 import S3ObjectStore, S3PhotoStore
from pipeline.domain.errors import ArchiveDamaged, ObjectArchived, PhotoMissing, PhotoRefused, ServiceUnavailable
from pipeline.domain.event_bounds import InvalidEvent
from pipeline.domain.events import parse_task_confirmed
from tests.builders import BUCKETS, NOW, event_body
from tests.corpus.fuzz import drawn
from tests.corpus.photos import ODD_KEYS
from tests.corpus.s3_answers import LASTING, OF_ONE_PHOTO, OF_THE_CALLER, odd_s3
from tests.listening import listen

pytestmark = pytest.mark.integration


@pytest.fixture
def photos(services):
    put(services, "tasks", "a.jpg", b"photo")
    put(services, "models", "secret", b"not yours")
    return S3PhotoStore(endpoint=services.stack.s3_endpoint, buckets=frozenset({"tasks"}))


def put(services, bucket, key, body):
    boto3.client("s3", endpoint_url=services.stack.s3_endpoint).put_object(Bucket=bucket, Key=key, Body=body)


def test_a_photo_is_read_from_an_allowed_bucket(photos):
    assert photos.read("s3://tasks/a.jpg") == b"photo"


def _is_a_path(key):
    """The S3 of the stack has folders: none without a name, none that means itself, and no name over 255 bytes. What no
    XML can say cannot be emptied out of it.
    """
    sayable = all(char >= " " or char in "\t\n" for char in key)
    return sayable and all(part not in ("", ".") and len(part.encode()) <= 255 for part in key.split("/"))


@pytest.mark.parametrize("key", filter(_is_a_path, ODD_KEYS))
def test_an_odd_key_is_its_own_photo_for_pipeline_and_model_server_alike(services, photos, key):
    for other in {key.split(part)[0] for part in "#?\t\n;"} | {key.lstrip("/")} - {"", key}:
        put(services, "tasks", other, b"another task's photo")
    put(services, "tasks", key, b"the photo")
    assert photos.read(f"s3://tasks/{key}") == S3Source(services.stack.s3_endpoint).read(f"s3://tasks/{key}")
    assert photos.read(f"s3://tasks/{key}") == b"the photo"


@pytest.mark.parametrize("url", ["s3://tasks/missing.jpg", "s3://tasks/a.jpg/b"])
def test_a_missing_photo_is_missing_not_an_outage(photos, url):
    with pytest.raises(PhotoMissing, match="no photo at its address"):
        photos.read(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://models/secret",
        "file:///etc/passwd",
        "http://127.0.0.1/a.jpg",
        "s3://tasks/../models/secret",
        "s3://tasks",
        "s3:///a.jpg",
        "",
    ],
)
def test_anywhere_else_is_refused_without_a_request(services, photos, url):
    # S3 is down: whoever asked it anything would say so.
    with services.without("s3"), pytest.raises(PhotoRefused, match="is not in an allowed bucket"):
        photos.read(url)


def test_a_photo_over_the_limit_is_refused_by_its_size(services, photos):
    put(services, "tasks", "huge.jpg", bytes(33 * 1024 * 1024))
    with pytest.raises(PhotoRefused, match="has 34603008 bytes, 33554432 are allowed"):
        photos.read("s3://tasks/huge.jpg")


def test_an_outage_of_s3_is_worth_another_try(services, photos):
    objects = S3ObjectStore(endpoint=services.stack.s3_endpoint)
    objects.write("s3://datasets/DS-1/manifest.json", b"{}")
    with services.without("s3"):
        with pytest.raises(ServiceUnavailable, match="S3 is unavailable"):
            photos.read("s3://tasks/a.jpg")
        with pytest.raises(ServiceUnavailable, match="S3 is unavailable"):
            objects.write("s3://datasets/x", b"")
    assert objects.read("s3://datasets/DS-1/manifest.json") == b"{}"


def test_objects_are_listed_by_prefix_and_deleted_more_than_once(services):
    objects = S3ObjectStore(endpoint=services.stack.s3_endpoint)
    for name in ("b", "a", "nested/c"):
        objects.write(f"s3://datasets/DS-1/{name}", b"x")
    objects.write("s3://datasets/DS-10/other", b"x")
    listed = ["s3://datasets/DS-1/a", "s3://datasets/DS-1/b", "s3://datasets/DS-1/nested/c"]
    assert objects.list("s3://datasets/DS-1/") == listed
    assert objects.list("s3://datasets/nothing/") == []
    for _ in range(2):
        objects.delete("s3://datasets/DS-1/a")
    assert objects.list("s3://datasets/DS-1/") == listed[1:]


def test_a_link_opens_without_credentials_and_shows_a_page_as_one(services):
    objects = S3ObjectStore(endpoint=services.stack.s3_endpoint)
    objects.write("s3://datasets/DS-1/data-report.html", b"<p>hello</p>", "text/html; charset=utf-8")
    with urllib.request.urlopen(objects.link("s3://datasets/DS-1/data-report.html")) as page:
        assert page.read() == b"<p>hello</p>"
        assert page.headers["Content-Type"].startswith("text/html")


# S3 slow, failing, full


class Moody(ThreadingHTTPServer):
    """Speaks just enough S3 for one object; `moods` say how the next requests go, then all goes well."""

    def __init__(self, *moods):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.moods, self.requests = list(moods), 0
        listen(self)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Summed(int):
    """A status with a checksum among the headers: botocore takes what comes with it for an object's bytes."""


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        mood = self.server.moods.pop(0) if self.server.moods else "well"
        if mood == "slow":
            time.sleep(3)
        if isinstance(mood, Summed):
            code = b"NoSuchKey" if mood == 404 else b"Trouble"
            self._send(mood, b"<Error><Code>%b</Code></Error>" % code, checksum="AAAAAA==")
        elif mood == "archived":
            self._send(403, b"<Error><Code>InvalidObjectState</Code><Message>its class is GLACIER</Message></Error>")
        elif isinstance(mood, tuple):
            status, code = mood
            self._send(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())
        elif isinstance(mood, int):
            self._send(mood, b"<Error><Code>Trouble</Code><Message>no space left on device</Message></Error>")
        elif mood == "another's checksum":
            self._send(200, b"photo", checksum="AAAAAA==")
        else:
            self._send(200, b"photo", promised=500 if mood == "truncated" else None)

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def _send(self, status, body, promised=None, checksum=None):
        self.send_response(status)
        if checksum:
            self.send_header("x-amz-checksum-crc32", checksum)
        self.send_header("Content-Length", str(promised or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def moody(monkeypatch):
    """A server of the moods asked for; credentials are any, and nobody waits half a minute for one that is slow."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    servers = []

    def serve(*moods):
        if "slow" in moods:
            monkeypatch.setattr(s3, "_READ_TIMEOUT_SECONDS", 2)
        servers.append(Moody(*moods))
        return servers[-1]

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "moods", [(503, 500), ("slow",), ("truncated",), ("truncated", 503), (Summed(500), Summed(503))], ids=str
)
def test_a_moment_of_trouble_is_outlived_by_trying_again(moody, moods):
    server = moody(*moods)
    assert S3PhotoStore(endpoint=server.url, buckets=frozenset({"tasks"})).read("s3://tasks/a.jpg") == b"photo"
    assert server.requests == len(moods) + 1


@pytest.mark.parametrize("mood", [500, "truncated"])
def test_trouble_that_lasts_is_an_outage_with_its_reason(moody, mood):
    server = moody(*[mood] * 20)
    with pytest.raises(ServiceUnavailable, match="S3 is unavailable: "):
        S3PhotoStore(endpoint=server.url, buckets=frozenset({"tasks"})).read("s3://tasks/a.jpg")
    assert server.requests < 10


def test_an_error_with_a_checksum_is_read_as_any_other(moody):
    server = moody(*[Summed(404)] * 4, Summed(403))
    with pytest.raises(KeyError):
        S3ObjectStore(endpoint=server.url).read("s3://datasets/x")
    with pytest.raises(PhotoMissing):
        S3PhotoStore(endpoint=server.url, buckets=frozenset({"tasks"})).read("s3://tasks/a.jpg")
    with pytest.raises(ArchiveDamaged):
        GlacierArchive(endpoint=server.url).fetch("s3://archive/x")
    photos = Photos(server.url, {"tasks"})
    with pytest.raises(NoPhoto) as caught:
        photos.original("s3://tasks/a.jpg")
    assert caught.value.gone
    with pytest.raises(PhotosAway):
        photos.original("s3://tasks/a.jpg")
    assert server.requests == 5


def test_an_object_is_still_compared_with_its_checksum(moody):
    with pytest.raises(ServiceUnavailable, match="checksum"):
        S3ObjectStore(endpoint=moody("another's checksum").url).read("s3://datasets/x")


@pytest.fixture
def odd(moody):
    with odd_s3() as server:
        yield server


def stores(server):
    return S3PhotoStore(endpoint=server.url, buckets=BUCKETS), S3Source(server.url), Photos(server.url, BUCKETS)


@pytest.fixture
def readers(odd):
    """Pipeline, model server and review page: making their clients takes longer than all that they ask for."""
    return stores(odd)


@drawn(60)
@given(key=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=300))
@example(key="k" * 1024)
def test_any_key_that_s3_takes_is_the_same_photo_for_whoever_reads_it(odd, readers, key):
    """From the Helper service's door over the queue to pipeline, review page and model server."""
    url = f"s3://tasks/{key}"
    try:
        taken = NewTask(task_id="T-1", helper_id="H-1", photo_url=url).photo_url
    except ValidationError:
        assert ".." in key.split("/") or len(key.encode()) > 1024
        with pytest.raises(InvalidEvent):
            parse_task_confirmed(event_body(photoUrl=url), now=NOW, photo_buckets=BUCKETS)
        return
    said = parse_task_confirmed(event_body(photoUrl=taken), now=NOW, photo_buckets=BUCKETS).photo_url
    odd.keeps = {url: key.encode()}
    odd.asked.clear()
    pipeline, model_server, page = readers
    assert pipeline.read(said) == model_server.read(said) == page.original(said) == key.encode()
    assert odd.asked == [url] * 3


@pytest.mark.parametrize("key", ODD_KEYS)
def test_s3_is_asked_for_the_very_key(odd, key):
    for photos in stores(odd)[:2]:
        with suppress(PhotoMissing, FileNotFoundError):
            photos.read(f"s3://tasks/{key}")
    assert odd.asked == [f"s3://tasks/{key}"] * 2


@pytest.mark.parametrize("name", OF_ONE_PHOTO)
def test_what_s3_says_against_one_photo_is_that_photos_fault(odd, name):
    odd.answers["s3://tasks/a.jpg"] = answer = OF_ONE_PHOTO[name]
    photos = stores(odd)[0]
    if answer.status == 200 and answer.promised is None:
        assert photos.read("s3://tasks/a.jpg") == answer.body
    else:
        with pytest.raises((PhotoRefused, PhotoMissing), match=answer.because):
            photos.read("s3://tasks/a.jpg")
    assert len(odd.asked) == 1


@pytest.mark.parametrize("name", [*LASTING, *OF_THE_CALLER])
def test_what_may_pass_or_is_said_against_whoever_asks_is_no_photos_fault(odd, name):
    odd.answers["s3://tasks/a.jpg"] = {**LASTING, **OF_THE_CALLER}[name]
    with pytest.raises(ServiceUnavailable):
        stores(odd)[0].read("s3://tasks/a.jpg")


def test_a_full_disk_behind_s3_is_an_outage_that_says_so(moody):
    server = moody(*[507] * 20)
    with pytest.raises(ServiceUnavailable, match="no space left on device"):
        S3ObjectStore(endpoint=server.url).write("s3://datasets/x", b"shard")


def test_what_lies_in_glacier_is_no_outage_asking_again_brings_nothing(moody):
    server = moody("archived", "archived")
    with pytest.raises(
        ObjectArchived, match=r"s3://datasets/x lies in S3's archive \(Glacier\): restore it there first"
    ):
        S3ObjectStore(endpoint=server.url).read("s3://datasets/x")
    with pytest.raises(PhotoMissing, match="lies in S3's archive"):
        S3PhotoStore(endpoint=server.url, buckets=frozenset({"tasks"})).read("s3://tasks/a.jpg")
    assert server.requests == 2


@pytest.mark.parametrize("mood", ["archived", (403, "AccessDenied")], ids=str)
def test_of_photos_handed_over_one_that_s3_does_not_give_out_is_refused_by_itself(moody, mood):
    server = moody(mood)
    photos = S3PhotoStore(endpoint=server.url, buckets=frozenset({"archive"}))
    folder = photo_folder("s3://archive/laundry", S3ObjectStore(endpoint=server.url), photos)
    with pytest.raises(PhotoRefused, match="lies in S3's archive|denies access"):
        folder.read("good/a.jpg")
    assert folder.read("good/b.jpg") == b"photo"
