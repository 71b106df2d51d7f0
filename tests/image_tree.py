"""What an image holds, built from its Dockerfile and .dockerignore as a build would, and run with its packages only."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from include.stack.layout import REPOSITORY

# Refuses, inside the tree, every installed package that the image's lock does not name.
_ONLY_LOCKED = """
import importlib.abc, importlib.metadata, re, sys

locked = {{re.sub(r"[-_.]+", "-", name).lower() for name in {names!r}}}
# On processors TensorFlow is a package of another name with the same modules; here it stands in for that.
modules_of = locked | {{name.removesuffix("-cpu") for name in locked}}
strange = {{
    module
    for module, owners in importlib.metadata.packages_distributions().items()
    if not modules_of & {{re.sub(r"[-_.]+", "-", owner).lower() for owner in owners}}
}}


class OnlyLocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in strange:
            raise ModuleNotFoundError(f"{{name}} is not among the packages of this image", name=name)


sys.meta_path.insert(0, OnlyLocked())
of_name = importlib.metadata.Distribution.from_name


def only_locked(name):
    if re.sub(r"[-_.]+", "-", name).lower() not in locked:
        raise importlib.metadata.PackageNotFoundError(name)
    return of_name(name)


importlib.metadata.Distribution.from_name = only_locked
"""


def locked(packages: str) -> dict[str, set[str]]:
    """Checksums by `name==version` of the lock `include/docker/<packages>.txt`."""
    text = (REPOSITORY / f"include/docker/{packages}.txt").read_text()
    pin = re.compile(r"^(\S+==\S+) \\$((?:\n    --hash=\S+(?: \\)?)+)", re.MULTILINE)
    return {name: set(re.findall(r"sha256:\w+", hashes)) for name, hashes in pin.findall(text)}


def dockerfile(name: str) -> str:
    """With continued lines joined."""
    return (REPOSITORY / f"include/docker/{name}.Dockerfile").read_text().replace("\\\n", " ")


def ignored(path: str) -> bool:
    """Whether the build does not see this path of the repository: the last line of .dockerignore that fits decides."""
    found = False
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and _fits(path, pattern):
            found = not line.startswith("!")
    return found


def _fits(path: str, pattern: str) -> bool:
    """A pattern that fits a folder fits what is in it."""
    parts = path.split("/")
    heads = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    if pattern.startswith("**/"):
        return any(fnmatch(part, pattern[3:]) for part in parts)
    return any(head.count("/") == pattern.count("/") and fnmatch(head, pattern) for head in heads)


@dataclass(frozen=True)
class ImageTree:
    """The working folder of an image's last stage."""

    root: Path
    packages: str

    @classmethod
    def of(cls, name: str, root: Path, packages: str) -> "ImageTree":
        _, _, last = dockerfile(name).rpartition("\nFROM ")
        for sources, target in re.findall(r"^COPY (?!--from)(.+) (\S+)$", last, re.MULTILINE):
            for source in sources.split():
                _copy(source, root / target / ("" if not target.endswith("/") else Path(source).name))
        (root / "sitecustomize.py").write_text(
            _ONLY_LOCKED.format(names=[pin.split("==")[0].split("[")[0] for pin in locked(packages)])
        )
        return cls(root, packages)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`python ARGUMENTS` where only this tree is to be found, and in it only what is locked."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RETRAIN_", "FACESERVE_"))}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env={**kept, "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1", **variables},
            capture_output=True,
            text=True,
            check=False,
        )


def _copy(source: str, target: Path) -> None:
    """Fails as a build would: what is not there, or not seen, cannot be copied."""
    place = REPOSITORY / source
    seen = [one for one in ([place] if place.is_file() else place.rglob("*")) if one.is_file()]
    seen = [one for one in seen if not ignored(str(one.relative_to(REPOSITORY)))]
    if not seen:
        raise FileNotFoundError(f"COPY {source}: nothing of that name is in the build's context")
    for one in seen:
        there = target if place.is_file() else target / one.relative_to(place)
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(one, there)
