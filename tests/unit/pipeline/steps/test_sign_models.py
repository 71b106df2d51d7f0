"""Models of before there was a key are signed, if they are what was registered."""

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.steps.sign_models import sign_models
from tests.builders import MANIFEST
from tests.unit.pipeline.steps.live_world import LAUNDRY, World


def signed(world, key="ours"):
    return sign_models(world.versions, world.objects, LAUNDRY, lambda manifest: key.encode() + manifest)


def folder(world, version):
    return ArtifactFolder(world.versions.get(LAUNDRY, version).artifact.uri)


def test_every_registered_version_gets_a_signature_of_its_own_manifest():
    world = World().live("run-0", "run-1")
    world.candidate("run-2")
    assert sorted(signed(world).signed) == ["v1.0.0", "v1.1.0", "v1.2.0"]
    assert world.objects.read(folder(world, "v1.1.0").signature) == b"ours" + MANIFEST


def test_with_another_key_all_are_signed_again():
    world = World().live("run-0")
    signed(world)
    assert signed(world, "another").signed == ("v1.0.0",)
    assert world.objects.read(folder(world, "v1.0.0").signature) == b"another" + MANIFEST


def test_what_is_not_the_registered_model_gets_no_signature_and_the_others_do():
    world = World().live("run-0", "run-1")
    tampered = folder(world, "v1.0.0")
    world.objects.write(tampered.manifest, MANIFEST + b"\n")
    done = signed(world)
    assert done.signed == ("v1.1.0",) and "manifest.json" in done.left["v1.0.0"]
    assert not world.objects.exists(tampered.signature)


def test_of_a_model_whose_files_are_in_the_archive_it_is_said_how_they_come_back():
    world = World().live("run-0", "run-1")
    world.objects.delete(folder(world, "v1.0.0").manifest)
    assert "`python -m pipeline restore v1.0.0 --model-type LAUNDRY`" in signed(world).left["v1.0.0"]
