"""Model files from S3 into a local cache, every byte checked against the manifest (design D12)."""

import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from faceserve.errors import BadArtifact, DiskUnusable, TooLarge
from faceserve.machine.disk import sync
from faceserve.machine.memory import scratch_folder
from faceserve.storage import Source
from include.contract import signature
from include.contract.manifest import HEAD, MANIFEST, REASONS, ArtifactManifest, BadManifest

log = logging.getLogger(__name__)

_MAX_MANIFEST_BYTES = 1 << 20
_PARTIAL = "partial-"


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
        """The manifest and the folder with its files. Raises `BadArtifact`, `StorageUnavailable` or `DiskUnusable`."""
        if not manifest_sha256 or not set(manifest_sha256) <= set("0123456789abcdef"):
            raise BadArtifact(f"manifest hash {manifest_sha256[:80]!r} is not a sha256 in hexadecimal digits")
        folder = self._folder / manifest_sha256
        if folder.exists() and not self._is_whole(folder, manifest_sha256):
            log.warning("%s was damaged in the local cache: it is fetched again", folder.name)
            _removed(folder)
        if not folder.exists():
            self._download(uri, manifest_sha256, folder)
        self._demand_signature(uri, folder)
        return self.opened(manifest_sha256)

    def opened(self, manifest_sha256: str) -> tuple[ArtifactManifest, Path]:
        """What `fetch` stored and checked a moment ago."""
        folder = self._folder / manifest_sha256
        return self._manifest((folder / MANIFEST).read_bytes(), manifest_sha256), folder

    def _is_whole(self, folder: Path, manifest_sha256: str) -> bool:
        """What lies in the cache is checked each time too: disks change bytes.

        An earlier build kept no head; without one everybody is embedded, which takes longer.
        """
        try:
            manifest, _ = self.opened(manifest_sha256)
            needed = {p: s for p, s in self._needed(manifest).items() if p != HEAD or (folder / p).exists()}
            return all(_sha256(folder / path) == sha256 for path, sha256 in needed.items())
        except (BadArtifact, OSError):
            return False

    def _demand_signature(self, uri: str, folder: Path) -> None:
        """The signature is kept beside the manifest, so that a start needs no store for it."""
        if self._public_key is None:
            return
        kept = folder / signature.SIGNATURE
        try:
            if kept.is_file() and self._is_signed(folder, kept.read_bytes()):
                return
            found = self._read(uri, signature.SIGNATURE)
            signature.check((folder / MANIFEST).read_bytes(), found, self._public_key, scratch_folder())
        except BadManifest as error:
            raise BadArtifact(str(error)) from None
        # A disk that is full keeps no signed model from serving.
        with suppress(OSError):
            _kept(found, kept)

    def _is_signed(self, folder: Path, found: bytes) -> bool:
        assert self._public_key is not None
        try:
            signature.check((folder / MANIFEST).read_bytes(), found, self._public_key, scratch_folder())
        except BadManifest:
            return False
        return True

    def _needed(self, manifest: ArtifactManifest) -> dict[str, str]:
        """The files that are fetched: golden predictions, reasons, head, and those of the engine in use; never those of
        other engines.
        """
        entries = [entry for key in self._keys if (entry := manifest.engines.get(key))]
        folders = tuple(f"{entry.rpartition('/')[0]}/" if "/" in entry else entry for entry in entries)
        return {
            path: sha256
            for path, sha256 in manifest.files.items()
            if path in {manifest.golden.file, REASONS, HEAD} or path.startswith(folders)
        }

    def keep_only(self, manifest_hashes: set[str], being_fetched: set[str]) -> None:
        """Delete other artifacts, and half-written ones that nobody is fetching just now."""
        for folder in self._folder.iterdir():
            name = folder.name
            half_written = name.startswith(_PARTIAL)
            kept = name.split("-")[1] in being_fetched if half_written else name in manifest_hashes | being_fetched
            if not kept:
                shutil.rmtree(folder, ignore_errors=True)

    def _download(self, uri: str, manifest_sha256: str, folder: Path) -> None:
        body = self._read(uri, MANIFEST)
        manifest = self._manifest(body, manifest_sha256)
        partial = self._beginning(manifest_sha256)
        try:
            for path, sha256 in self._needed(manifest).items():
                self._copy(uri, path, sha256, partial / path)
            _kept(body, partial / MANIFEST)
            for made in [path for path in partial.rglob("*") if path.is_dir()] + [partial]:
                sync(made)
            partial.replace(folder)
            sync(self._folder)
        except OSError as error:
            # Another load may have been faster.
            if self._is_whole(folder, manifest_sha256):
                return
            raise DiskUnusable(f"the artifact cannot be kept on disk: {error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _beginning(self, manifest_sha256: str) -> Path:
        try:
            return Path(tempfile.mkdtemp(prefix=f"{_PARTIAL}{manifest_sha256}-", dir=self._folder))
        except OSError as error:
            raise DiskUnusable(f"the artifact cannot be kept on disk: {error}") from error

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
            return self._source.read(f"{uri.rstrip('/')}/{path}", _MAX_MANIFEST_BYTES)
        except FileNotFoundError:
            raise BadArtifact(f"{path} is missing at {uri}") from None
        except TooLarge as error:
            raise BadArtifact(str(error)) from None

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
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _kept(body: bytes, target: Path) -> None:
    """The folder is kept whole or not at all, even when the power fails."""
    partial = target.with_name(f"{target.name}.partial")
    with partial.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)


def _removed(folder: Path) -> None:
    """Raises `DiskUnusable`: a folder that cannot be removed must not be taken for the one fetched in its place."""
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise DiskUnusable(f"a damaged artifact cannot be removed from the disk: {error}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
