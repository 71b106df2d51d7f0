"""Model files from S3 into a local cache, every byte checked against the manifest (design D12)."""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from faceserve.errors import BadArtifact
from faceserve.storage import Source
from include.contract import signature
from include.contract.manifest import MANIFEST, ArtifactManifest, BadManifest

_MAX_MANIFEST_BYTES = 1 << 20
_LOADING_SECONDS = 3600.0


class ArtifactCache:
    """Verified artifacts on disk, one folder for each manifest hash; a half-written folder never has that name."""

    def __init__(self, folder: Path, source: Source, keys: Sequence[str], public_key: Path | None = None) -> None:
        """`keys` are the engines' names in the manifest whose files are needed.

        With a `public_key` (PEM), artifacts that its owner did not sign are refused.
        """
        self._folder = folder
        self._source = source
        self._keys = tuple(keys)
        self._public_key = public_key
        folder.mkdir(parents=True, exist_ok=True)

    def fetch(self, uri: str, manifest_sha256: str) -> tuple[ArtifactManifest, Path]:
        """The manifest and the folder with its files. Raises `BadArtifact` or `StorageUnavailable`."""
        if not manifest_sha256 or not set(manifest_sha256) <= set("0123456789abcdef"):
            raise BadArtifact(f"manifest hash {manifest_sha256[:80]!r} is not a sha256 in hexadecimal digits")
        folder = self._folder / manifest_sha256
        if folder.exists():
            # It is in use again, so that `keep_only` takes it for young.
            folder.touch()
            self._check(folder, manifest_sha256)
        else:
            self._download(uri, manifest_sha256, folder)
        self._demand_signature(uri, folder)
        return self.opened(manifest_sha256)

    def opened(self, manifest_sha256: str) -> tuple[ArtifactManifest, Path]:
        """What `fetch` put there and checked a moment ago."""
        folder = self._folder / manifest_sha256
        return self._manifest((folder / MANIFEST).read_bytes(), manifest_sha256), folder

    def _check(self, folder: Path, manifest_sha256: str) -> None:
        """What lies in the cache is checked each time too: disks change bytes."""
        manifest, _ = self.opened(manifest_sha256)
        for path, sha256 in self._needed(manifest).items():
            if not (folder / path).is_file() or _sha256(folder / path) != sha256:
                shutil.rmtree(folder, ignore_errors=True)
                raise BadArtifact(f"{path} was damaged in the local cache; it was deleted there, so try again")

    def _demand_signature(self, uri: str, folder: Path) -> None:
        if self._public_key is None:
            return
        try:
            signature.check((folder / MANIFEST).read_bytes(), self._read(uri, signature.SIGNATURE), self._public_key)
        except BadManifest as error:
            raise BadArtifact(str(error)) from None

    def _needed(self, manifest: ArtifactManifest) -> dict[str, str]:
        """The golden predictions, and the folder of the engine used; other engines' files are never fetched."""
        entries = [entry for key in self._keys if (entry := manifest.engines.get(key))]
        folders = tuple(f"{entry.rpartition('/')[0]}/" if "/" in entry else entry for entry in entries)
        return {
            path: sha256
            for path, sha256 in manifest.files.items()
            if path == manifest.golden.file or path.startswith(folders)
        }

    def keep_only(self, manifest_hashes: set[str]) -> None:
        """Delete other artifacts and what a crash left half-written. What is young stays: it may be loading."""
        for folder in self._folder.iterdir():
            if folder.name not in manifest_hashes and _age_seconds(folder) >= _LOADING_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def _download(self, uri: str, manifest_sha256: str, folder: Path) -> None:
        body = self._read(uri, MANIFEST)
        manifest = self._manifest(body, manifest_sha256)
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=self._folder))
        try:
            for path, sha256 in self._needed(manifest).items():
                self._copy(uri, path, sha256, partial / path)
            (partial / MANIFEST).write_bytes(body)
            partial.replace(folder)
        except OSError as error:
            if folder.exists():
                return
            raise BadArtifact(f"the artifact cannot be kept on disk: {error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _copy(self, uri: str, path: str, sha256: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            found = _write(self._source.chunks(f"{uri.rstrip('/')}/{path}"), target)
        except FileNotFoundError:
            raise BadArtifact(f"{path} is missing at {uri}") from None
        if found != sha256:
            length = target.stat().st_size
            raise BadArtifact(f"{path} does not have the sha256 its manifest gives ({length} bytes)")

    def _read(self, uri: str, path: str) -> bytes:
        try:
            return self._source.read(f"{uri.rstrip('/')}/{path}")
        except FileNotFoundError:
            raise BadArtifact(f"{path} is missing at {uri}") from None

    @staticmethod
    def _manifest(body: bytes, manifest_sha256: str) -> ArtifactManifest:
        if len(body) > _MAX_MANIFEST_BYTES or hashlib.sha256(body).hexdigest() != manifest_sha256:
            raise BadArtifact("manifest.json does not have the sha256 the command gave")
        try:
            return ArtifactManifest.from_json(body)
        except BadManifest as error:
            raise BadArtifact(str(error)) from None


def _write(chunks: Iterable[bytes], target: Path) -> str:
    """The sha256 of what was written."""
    digest, began = hashlib.sha256(), time.monotonic()
    with target.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            # Copying at full speed slows inference down, so half of the time the memory is left to requests.
            time.sleep(time.monotonic() - began)
            began = time.monotonic()
    return digest.hexdigest()


def _age_seconds(folder: Path) -> float:
    """0 for one that is gone already."""
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
