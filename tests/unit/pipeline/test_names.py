"""A name that is stored or configured is written in one module; everybody else asks that module for it."""

import ast
from pathlib import Path

import pytest

from include.contract.manifest import MANIFEST
from include.contract.signature import SIGNATURE
from include.stack.layout import REPOSITORY
from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.backbones import BACKBONES
from pipeline.domain.checks import CheckName
from pipeline.domain.dataset_folder import DatasetFolder
from pipeline.domain.models import ModelType

DOMAIN = "pipeline/domain"
DATASET, MODEL = "s3://datasets/DS-2026-001/", "s3://models/LAUNDRY/run-1/"
# Words that mean something else as well.
_AMBIGUOUS = {CheckName.SLICES}


def objects_of(folder):
    """The names of a folder's objects, without what comes before them."""
    properties = [name for name, found in vars(type(folder)).items() if isinstance(found, property)]
    found = {str(getattr(folder, name)) for name in properties}
    return {uri.removeprefix(folder.uri) for uri in found if uri.startswith(folder.uri)}


def texts(path):
    """Every string in the module but its docstrings, also the constant parts of f-strings."""
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    }


def written_in(names, folders=("pipeline", "dags", "plugins")):
    paths = [path for folder in folders for path in sorted((REPOSITORY / folder).rglob("*.py"))]
    return {str(Path(path).relative_to(REPOSITORY)) for path in paths if texts(path) & names}


@pytest.mark.parametrize(
    ("names", "modules"),
    [
        (
            objects_of(DatasetFolder(DATASET)) | objects_of(ArtifactFolder(MODEL)),
            {"artifact_folder.py", "dataset_folder.py"},
        ),
        (set(CheckName) - _AMBIGUOUS, {"checks.py"}),
    ],
    ids=["objects", "checks"],
)
def test_a_name_is_written_in_its_module_alone(names, modules):
    assert written_in(names) == {f"{DOMAIN}/{module}" for module in modules}


def test_a_backbone_is_named_where_it_stands_in_the_list_and_where_it_is_built():
    assert written_in(set(BACKBONES)) == {f"{DOMAIN}/backbones.py", "pipeline/learning/backbones.py"}


def test_a_model_type_is_named_in_the_list_and_beside_that_in_dags_alone():
    assert written_in(set(ModelType), ["pipeline", "plugins"]) == {f"{DOMAIN}/models.py"}


def test_manifest_and_signature_are_called_as_the_model_server_expects_them():
    folder = ArtifactFolder("s3://models/LAUNDRY/run-1/")
    assert (folder.manifest, folder.signature) == (folder.uri + MANIFEST, folder.uri + SIGNATURE)
