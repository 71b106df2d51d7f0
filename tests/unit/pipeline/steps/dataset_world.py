"""Sixty confirmed tasks, and everything that makes a dataset of them."""

from pipeline.domain.dataset import Augmentation, Manifest
from pipeline.domain.learned import Learned
from pipeline.domain.models import ModelType
from pipeline.domain.quality import QualityPolicy
from pipeline.domain.selection import Recipe, SelectionPolicy
from pipeline.ports.bundles import DataChecks, DataSources, Forgetting, Images
from pipeline.steps.assemble import assemble
from pipeline.steps.augment import augment, slices
from pipeline.steps.collect import collect
from pipeline.steps.reuse_dataset import reuse_dataset
from pipeline.steps.validate import validate
from tests.builders import a_task
from tests.fakes.data import (
    FakeAugmenter,
    FakeCorrectionSource,
    FakeDatasets,
    FakeErasures,
    FakeInspector,
    FakeObjects,
    FakePhotos,
    FakeReporter,
    FakeReviewer,
    FakeValidator,
    FakeWithholdings,
)
from tests.fakes.events import FakeClock
from tests.fakes.faults import Fault

LABELS = ("양호", "불량")
POLICY = SelectionPolicy(min_train_photos=20)
COPIES = 5
AUGMENTATION = Augmentation(copies=COPIES, photos_per_slice=10)
URI = "s3://datasets/DS-2026-001/"
NO_FAULT = Fault()
# Photos are read by several threads at once, and the others touch nothing that lasts.
_SAFE = ("photos", "inspector", "validator", "reviewer", "reporter", "augmenter", "clock")


class World:
    """Sixty confirmed tasks, every third a correction; `said` is what the champion answers to some of them."""

    def __init__(self):
        self.said = {}
        self.confirm(range(60))
        self.objects = FakeObjects()
        self.restore_database()
        self.augmenter, self.validator, self.reviewer = FakeAugmenter(), FakeValidator(), FakeReviewer()
        self.inspector, self.reporter = FakeInspector(), FakeReporter()

    def confirm(self, numbers):
        """These tasks instead of those before."""
        tasks = [a_task(n, corrected=n % 3 == 0, label=LABELS[n % 2]) for n in numbers]
        self.source = FakeCorrectionSource(tasks)
        self.photos = FakePhotos({t.photo_url: f"photo {t.task_id}".encode() for t in tasks})

    def restore_database(self):
        """From a dump of before the first dataset; what the buckets have stays."""
        self.withholdings = FakeWithholdings()
        self.datasets = FakeDatasets(withholdings=self.withholdings)
        self.erasures = FakeErasures(self.datasets)

    def sources(self, policy=POLICY, augmentation=AUGMENTATION):
        return DataSources(
            source=self.source,
            photos=self.photos,
            inspector=self.inspector,
            datasets=self.datasets,
            erasures=self.erasures,
            withholdings=self.withholdings,
            objects=self.objects,
            clock=FakeClock(),
            recipe=Recipe(LABELS, policy, augmentation),
            prefix="s3://datasets/",
        )

    def collect(self, fault=NO_FAULT, run_id="run-1", since=None, policy=POLICY, augmentation=AUGMENTATION):
        sources = fault.on_ports(self.sources(policy, augmentation), but=_SAFE)
        return collect(sources, run_id, ModelType.LAUNDRY, learned=Learned(since, self.said))

    def reuse(self, dataset_id="DS-2026-001", model_type=ModelType.LAUNDRY, fault=NO_FAULT):
        return reuse_dataset(fault.on_ports(self.sources(), but=_SAFE), dataset_id, model_type)

    def validate(self, fault=NO_FAULT, uri=URI):
        checks = DataChecks(
            validator=self.validator,
            reviewer=self.reviewer,
            reporter=self.reporter,
            datasets=self.datasets,
            erasures=self.erasures,
            photos=self.photos,
            objects=self.objects,
            clock=FakeClock(),
            policy=QualityPolicy(),
        )
        return validate(fault.on_ports(checks, but=_SAFE), uri)

    def images(self, fault=NO_FAULT):
        images = Images(
            photos=self.photos,
            augmenter=self.augmenter,
            reporter=self.reporter,
            datasets=self.datasets,
            erasures=self.erasures,
            objects=self.objects,
            policy=QualityPolicy(),
        )
        return fault.on_ports(images, but=_SAFE)

    def prepare(self, fault=NO_FAULT, run_id="run-1", uri=URI):
        """Augment every slice, then assemble."""
        for index in range(len(slices(self.manifest(uri)))):
            self.augment(index, fault, uri)
        return assemble(self.images(fault), run_id, uri)

    def augment(self, index, fault=NO_FAULT, uri=URI):
        return augment(self.images(fault), uri, index)

    def manifest(self, uri=URI):
        return Manifest.from_json(self.objects.read(f"{uri}manifest.json"))


def forgetting(world, printer):
    """What it takes to erase a photo from a world that also knows runs, versions and experiments."""
    return Forgetting(
        datasets=world.datasets,
        erasures=world.erasures,
        runs=world.runs,
        versions=world.versions,
        experiments=world.experiments,
        augmenter=world.augmenter,
        photos=world.photos,
        printer=printer,
        objects=world.objects,
        clock=FakeClock(),
        dataset_prefix="s3://datasets/",
        model_prefix="s3://models/",
    )
