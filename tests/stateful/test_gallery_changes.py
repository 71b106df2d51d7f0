"""Replicas that share a gallery know who is in it: whoever comes and goes in whatever order, by whichever of them.

Each step of a change happens alone, so that looks, listings and other changes come between any two; a listing is slow:
what it found is made use of later. Clocks are up to five minutes apart, and changes are forgotten after ten.
"""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from faceserve.faces import changes
from faceserve.faces.features import FeatureExtractor
from faceserve.faces.gallery import Gallery, Listing
from faceserve.inference.apart import Answered
from faceserve.inference.darkroom import Darkroom
from faceserve.storage import Stores
from tests.tiny_model import FolderSource, coloured_photo

NAMES = ["kim", "lee"]
PHOTOS = [coloured_photo(*colour) for colour in ((250, 20, 20), (20, 250, 20), (20, 20, 250))]
REPLICAS = st.integers(0, 1)
# Who was cut off after so many steps, and who was not.
STEPS = st.sampled_from([*range(8), *[99] * 8])
THEN = st.frozensets(REPLICAS)
SECONDS = st.sampled_from([180, 301, 605, 950])


class Cut(Exception):
    """The replica was killed there."""


class Store(FolderSource):
    """`left` calls that change something succeed, and the next ones end the replica."""

    left = 10**9

    def _one_less(self):
        if self.left <= 0:
            raise Cut
        self.left -= 1

    def write(self, uri, body):
        self._one_less()
        super().write(uri, body)

    def delete(self, uri):
        self._one_less()
        super().delete(uri)


def by_colour(images):
    colours = images.mean(axis=(1, 2)).astype(np.float32)
    return Answered(colours, colours, 0.0)


BY_COLOUR = FeatureExtractor(by_colour)


class Replicas(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.store = Store()
        self.galleries = [
            Gallery(Stores(self.store, self.store), "s3://faces/", "face", Darkroom(10**9, 8)) for _ in range(2)
        ]
        self.known = [gallery.known(BY_COLOUR, gallery.revision()) for gallery in self.galleries]
        # Of each replica: what it listed and did not make use of yet, before and after its photos were embedded.
        self.listed: list[Listing | None] = [None, None]
        self.embedded: list[Listing | None] = [None, None]
        # What people were told, None where a change was cut off: nobody was told anything.
        self.told: dict[str, int | None | str] = dict.fromkeys(NAMES)
        self.seconds, self.ahead, self.acting = 1.8e9, [0.0, 0.0], 0
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(changes, "_now", lambda: self.seconds + self.ahead[self.acting])

    def teardown(self):
        self.patch.undo()

    @initialize(ahead=st.sampled_from([(0, 0), (120, 0), (0, 299), (299, 0)]))
    def set_clocks(self, ahead):
        self.ahead = [float(seconds) for seconds in ahead]

    @rule(seconds=SECONDS, then_list=THEN)
    def let_time_pass(self, seconds, then_list):
        """Replicas look several times a second, and list now and then."""
        for at in range(2):
            self.look(at)
        self.seconds += seconds
        for at in then_list:
            self.list_at_once(at)

    @rule(at=REPLICAS, name=st.sampled_from(NAMES), photo=st.integers(0, 1), steps=STEPS, then=THEN)
    def enroll(self, at, name, photo, steps, then):
        self._change(name, photo, steps, lambda: self._gallery(at).enroll(name, PHOTOS[photo]), then)

    @rule(at=REPLICAS, name=st.sampled_from(NAMES), steps=STEPS, then=THEN)
    def withdraw(self, at, name, steps, then):
        self._change(name, None, steps, lambda: self._gallery(at).withdraw(name), then)

    @rule(gone=REPLICAS, back=REPLICAS, name=st.sampled_from(NAMES), seconds=SECONDS, then_list=THEN)
    def come_back(self, gone, back, name, seconds, then_list):
        """Nobody else changes anything in that time."""
        self.withdraw(gone, name, 99, ())
        self.let_time_pass(seconds, then_list)
        self.enroll(back, name, 0, 99, ())

    def _gallery(self, at):
        """By this replica's clock from now on."""
        self.acting = at
        return self.galleries[at]

    def _change(self, name, becomes, steps, change, then):
        """Of few steps it is cut off in the middle; these replicas look afterwards."""
        self.store.left = steps
        try:
            change()
            self.told[name] = becomes
        except Cut:
            self.told[name] = "unknown" if steps else self.told[name]
        finally:
            self.store.left = 10**9
        for at in then:
            self.look(at)

    @rule(at=REPLICAS)
    def look(self, at):
        gallery, before = self._gallery(at), self.known[at]
        revision = gallery.revision()
        if revision != before.revision:
            known = gallery.updated(BY_COLOUR, revision, before)
            assert known is not None, "one change after another needs no listing"
            self.known[at] = known

    @rule(at=REPLICAS)
    def begin_listing(self, at):
        """One after the other at each replica."""
        self.embedded[at] = None
        self.listed[at] = self._gallery(at).listing(self.known[at].changes)

    @rule(at=REPLICAS)
    def embed_what_was_listed(self, at):
        listed, self.listed[at] = self.listed[at], None
        if listed is not None:
            self.embedded[at] = self._gallery(at).looked_at(BY_COLOUR, listed, self.known[at])

    @rule(at=REPLICAS)
    def end_listing(self, at):
        embedded, self.embedded[at] = self.embedded[at], None
        if embedded is not None:
            self.known[at] = self._gallery(at).corrected(embedded, self.known[at])

    def list_at_once(self, at):
        self.begin_listing(at)
        self.embed_what_was_listed(at)
        self.end_listing(at)

    @invariant()
    def who_looks_knows_what_people_were_told(self):
        for at in range(2):
            before = self.known[at]
            self.look(at)
            for name, told in self.told.items():
                if told != "unknown":
                    self._demand(at, name, told)
            # What was only looked at here is as if nobody had: looks come when they come.
            self.known[at] = before

    def _demand(self, at, name, told):
        found = self.known[at].faces.with_one(name, np.eye(3, dtype=np.float32)[told or 0])
        if told is None:
            assert found == [], f"{name} withdrew, and replica {at} names them"
        else:
            assert found and found[0].similarity > 0.9, f"{name} is enrolled, and replica {at} does not know it"


Replicas.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestReplicas = Replicas.TestCase
