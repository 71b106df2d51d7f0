"""All that is known of one version, for whoever has to vouch for it: one ZIP with the hash of every file in it."""

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.checks import plain_json
from pipeline.domain.errors import ObjectArchived
from pipeline.domain.ledger import Ledger
from pipeline.domain.lineage import Appearance
from pipeline.domain.models import ModelType, ModelVersion
from pipeline.domain.transitions import ROLLBACKS, Entry
from pipeline.ports.bundles import Proving
from pipeline.steps.faces.listed_photos import listed_photos

SUMS = "SHA256SUMS"
_README = """What is known of {model_type} {version}.

version.json     what it is, and where its files are
photos.csv       every photo that it learned from or was judged by, with its hash; empty where a photo was erased
origin.json      the dataset that they make
training.json    how it was trained, and the figures of the training
verdict.json     the verdict that let it go live or not, with every check, its interval and its bar, and a person's word
history.json     what happened to it, by whom and why: promotions, canaries, rollbacks, the archive
rollbacks.json   every rollback of this model type: that the way back works
artifact/        the report, what it is made of, and the manifest with the hash of every served file and its signature
{sums}       `sha256sum --check {sums}` says whether anything here was altered

Times are UTC. What is missing is named in missing.txt with the reason.
"""
# The same version is the same ZIP, whenever it is made.
_MADE = (1980, 1, 1, 0, 0, 0)


def prove(p: Proving, model_type: ModelType, version: str) -> bytes:
    """Raises `UnknownVersion`. What could not be read is named in the ZIP."""
    records = p.records
    found = records.versions.get(model_type, version)
    ledger = records.transitions.ledger(model_type)
    blessing = p.blessings.of_run(found.run_id)
    artifact, missing = _artifact(p, ArtifactFolder(found.artifact.uri))
    photos = records.datasets.appearances(dataset_id=found.dataset_id) or _faces(p, found, missing)
    training = _training(p, found.run_id)
    about = {
        "version.json": asdict(found),
        "origin.json": asdict(records.datasets.get(found.dataset_id)),
        "training.json": training,
        "verdict.json": {**asdict(blessing), "verdict": str(blessing.verdict)} if blessing else None,
        "history.json": [_told(entry) for entry in ledger.entries if version in {entry.act.version, entry.act.before}],
        "rollbacks.json": [_told(entry) for entry in _rollbacks(ledger)],
    }
    if training["result"] is None:
        missing["training.json"] = "its run recorded no figures of the training: those of the verdict are all there are"
    files = {name: _json(value) for name, value in about.items()} | artifact
    files["photos.csv"] = _csv(photos)
    files["missing.txt"] = "".join(f"{name}: {why}\n" for name, why in sorted(missing.items())).encode()
    files["README.txt"] = _README.format(model_type=model_type, version=version, sums=SUMS).encode()
    return _zip(files)


def _faces(p: Proving, version: ModelVersion, missing: dict[str, str]) -> Sequence[Appearance]:
    """Datasets of faces have no rows in the database: their list itself names the photos."""
    try:
        return list(listed_photos(p.objects, p.records.dataset_prefix, version))
    except (KeyError, ObjectArchived):
        missing["photos.csv"] = f"nobody knows the photos of {version.dataset_id} any more: its list is gone"
        return ()


def _training(p: Proving, run_id: str) -> dict[str, Any]:
    result = p.records.runs.result(run_id)
    attempts = [asdict(attempt) for attempt in p.records.runs.attempts(run_id)]
    return {"result": asdict(result) if result else None, "attempts": attempts}


def _rollbacks(ledger: Ledger) -> Iterator[Entry]:
    return (entry for entry in ledger.entries if entry.act.kind in ROLLBACKS)


def _told(entry: Entry) -> dict[str, Any]:
    act = entry.act
    return {
        "at": entry.at,
        "phase": entry.phase,
        "kind": act.kind,
        "version": act.version,
        "before": act.before,
        **asdict(act.by),
        "detail": entry.detail,
    }


def _artifact(p: Proving, folder: ArtifactFolder) -> tuple[dict[str, bytes], dict[str, str]]:
    """Files by their names in the ZIP, and those that could not be read, with the reason."""
    found, missing = {}, {}
    for uri in p.objects.list(folder.uri):
        if folder.is_proof(uri):
            name = f"artifact/{uri.removeprefix(folder.uri)}"
            try:
                found[name] = p.objects.read(uri)
            except (KeyError, ObjectArchived) as error:
                missing[name] = str(error)
    if not found:
        missing["artifact/"] = f"nothing is left at {folder.uri}: restore the version first when it was archived"
    return found, missing


def _json(value: Any) -> bytes:
    return plain_json(value, indent=1).encode()


def _csv(photos: Sequence[Appearance]) -> bytes:
    written = io.StringIO()
    columns = [field.name for field in fields(Appearance)]
    table = csv.writer(written, lineterminator="\n")
    table.writerow(columns)
    table.writerows([_cell(getattr(photo, name)) for name in columns] for photo in photos)
    return written.getvalue().encode()


def _cell(value: object) -> str:
    """Kept as text where a spreadsheet would read a formula."""
    text = str(value)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _zip(files: Mapping[str, bytes]) -> bytes:
    sums = "".join(f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in sorted(files.items()))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as pack:
        for name, body in sorted({**files, SUMS: sums.encode()}.items()):
            pack.writestr(zipfile.ZipInfo(name, _MADE), body, zipfile.ZIP_DEFLATED)
    return made.getvalue()
