"""No line of the log names anybody: who may read logs is more than who may know who goes in and out."""

import ast
import logging
import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceserve.faces.gallery import Known
from include.stack.layout import REPOSITORY
from tests.tiny_model import coloured_photo
from tests.unit.faceserve.faces.test_gallery import BLACK, BY_COLOUR, World

PEOPLE = "s3://faces/face/"
PHOTO = coloured_photo(20, 20, 250)
NAMES = st.sampled_from(["김철수", "ｋｉｍ-min", "José.García", "한 번", "kim (old).jpg", "park@example.com"])
# Arguments of a log call that are, or lead to, somebody's name.
NAMING = {"name", "identity", "who", "uri", "key", "photo", "person", "claimed_identity", "shown_identity"}
PROGRAMS = ("faceserve", "include/access_service")


def no_photo(world, uri):
    world.store.objects[uri] = b"no photo"


def a_photo_that_has_no_number(world, uri):
    world.store.objects[uri] = BLACK


def a_photo_that_is_refused(world, uri):
    world.store.objects[uri] = PHOTO
    world.store.refused.add(uri)


def a_photo_that_is_too_large(world, uri):
    world.store.objects[uri] = bytes((32 << 20) + 1)


def one_that_goes_before_it_is_read(world, uri):
    world.store.objects[uri], marks = PHOTO, world.store.marks

    def listed(prefix):
        found = marks(prefix)
        world.store.objects.pop(uri, None)
        return found

    world.store.marks = listed


def one_of_somebody_who_withdrew(world, uri):
    world.gallery.withdraw(uri.removeprefix(PEOPLE))
    world.store.objects[uri] = PHOTO


def a_change_that_says_nothing(world, uri):
    world.store.objects[f"s3://faces/face.changes/{9:015d}-{uri.removeprefix(PEOPLE)}"] = b"nothing"


ODD = [
    no_photo,
    a_photo_that_has_no_number,
    a_photo_that_is_refused,
    a_photo_that_is_too_large,
    one_that_goes_before_it_is_read,
    one_of_somebody_who_withdrew,
    a_change_that_says_nothing,
]


@pytest.mark.parametrize("happens", ODD)
@given(name=NAMES, form=st.sampled_from(["NFC", "NFD"]))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_odd_about_somebodys_photo_the_log_names_nobody(caplog, happens, name, form):
    caplog.clear()
    caplog.set_level(logging.DEBUG, "faceserve")
    world, stored = World(), unicodedata.normalize(form, name)
    happens(world, f"{PEOPLE}{stored}")
    world.known()
    world.gallery.updated(BY_COLOUR, world.gallery.revision(), Known())
    assert caplog.messages
    forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD", "NFKC")}
    assert not [one for one in forms | set(map(quote, forms)) if one in caplog.text]


def named_in(call):
    """Arguments of a log call under a name that is somebody's, unless they are made nobody's."""
    for argument in (*call.args[1:], *(one.value for one in call.keywords)):
        hidden = isinstance(argument, ast.Call) and getattr(argument.func, "id", "") == "shown"
        names = {} if hidden else {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(argument)}
        yield from NAMING & set(names)


def calls(path):
    for node in ast.walk(ast.parse(path.read_text())):
        owner = getattr(getattr(node, "func", None), "value", None)
        if isinstance(node, ast.Call) and getattr(owner, "id", "") == "log":
            yield node


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_log_call_is_given_a_name(program):
    files = Path(REPOSITORY, program).rglob("*.py")
    found = {f"{path.name}: {name}" for path in files for call in calls(path) for name in named_in(call)}
    assert found <= {"artifacts.py: name"}, "but for a folder of the cache"


def test_the_guard_sees_a_name():
    call = ast.parse('log.warning("%s withdrew", change.name)').body[0].value
    assert list(named_in(call)) == ["name"]
