"""Fetches the weights of the face network: the package `@vladmandic/face-api` 1.7.15 (MIT) of npm's registry, checked.

`python include/stack/face_weights.py FOLDER` needs nothing but Python, and does nothing where they are already,
whole and unchanged.
"""

import argparse
import hashlib
import io
import sys
import tarfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path

URL = "https://registry.npmjs.org/@vladmandic/face-api/-/face-api-1.7.15.tgz"
SHA256 = "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031"
FILES = {
    "face_recognition_model-weights_manifest.json": "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b",
    "face_recognition_model.bin": "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
}
"""What is used of it, each with its sha256."""
_SECONDS = 60


class Refused(ValueError):
    """The download is not the expected package; nothing was written."""


def unpack(package: bytes, folder: Path, sha256: str = SHA256) -> None:
    """Write the two files that are used. Raises `Refused` unless the package is the one with this hash."""
    if (found := hashlib.sha256(package).hexdigest()) != sha256:
        raise Refused(f"{URL} has sha256 {found}, expected {sha256}")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as packed:
        for name in FILES:
            member = packed.extractfile(f"package/model/{name}")
            assert member is not None
            unfinished = folder / f"{name}.part"
            unfinished.write_bytes(member.read())
            unfinished.replace(folder / name)


def are_there(folder: Path, files: Mapping[str, str] = FILES) -> bool:
    return all(
        (folder / name).is_file() and hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
        for name, sha256 in files.items()
    )


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("folder", type=Path)
    folder = words.parse_args().folder
    if are_there(folder):
        return 0
    try:
        with urllib.request.urlopen(URL, timeout=_SECONDS) as answer:  # noqa: S310 - the address is written above
            unpack(answer.read(), folder)
    except (OSError, Refused) as error:
        print(f"no weights of the face network: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
