"""Photos that a person hands over: a folder of this machine, or everything under an `s3://…` prefix."""

from collections.abc import Sequence
from pathlib import Path

from include.contract.photo import MAX_PHOTO_BYTES
from pipeline.domain.errors import DatasetRefused, PhotoMissing, PhotoRefused
from pipeline.ports.data import ObjectFolders, PhotoFolder, PhotoStore


def photo_folder(place: str, objects: ObjectFolders, photos: PhotoStore) -> PhotoFolder:
    """`photos` reads what `objects` lists under an `s3://…` prefix. Raises `DatasetRefused` for a folder that is not
    there.
    """
    if place.startswith("s3://"):
        return ObjectsAsFolder(place.rstrip("/") + "/", objects, photos)
    if not Path(place).is_dir():
        raise DatasetRefused(f"{place} is no folder of this machine, nor an address such as s3://bucket/photos/")
    return LocalFolder(Path(place))


class LocalFolder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return self._root.resolve().as_uri()

    def names(self) -> Sequence[str]:
        return sorted(path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if path.is_file())

    def read(self, name: str) -> bytes:
        path = self._root / name
        try:
            if (size := path.stat().st_size) > MAX_PHOTO_BYTES:
                raise PhotoRefused(f"{name} has {size} bytes, {MAX_PHOTO_BYTES} are allowed")
            return path.read_bytes()
        except OSError as error:
            raise PhotoRefused(f"{name} cannot be read: {error.strerror}") from error


class ObjectsAsFolder:
    def __init__(self, prefix: str, objects: ObjectFolders, photos: PhotoStore) -> None:
        self._prefix = prefix
        self._objects = objects
        self._photos = photos

    def __str__(self) -> str:
        return self._prefix.rstrip("/")

    def names(self) -> Sequence[str]:
        found = (uri.removeprefix(self._prefix) for uri in self._objects.list(self._prefix))
        return [name for name in found if name and not name.endswith("/")]

    def read(self, name: str) -> bytes:
        try:
            return self._photos.read(f"{self._prefix}{name}")
        except PhotoMissing as error:
            raise PhotoRefused(str(error)) from None
