"""Ask a new model about earlier corrections that it did not learn from: what it forgot is learned again first."""

import json
import logging
from collections.abc import Iterator, Sequence

from pipeline.domain.artifact_folder import ArtifactFolder
from pipeline.domain.dataset import ConfirmedTask
from pipeline.domain.errors import ModelRefused, PhotoMissing, PhotoRefused, ServiceRefused, TryAgain
from pipeline.ports.bundles import DataSources, Verification
from pipeline.steps.contest import Contest
from pipeline.steps.left_out import left_out
from pipeline.steps.look_at import gives
from pipeline.steps.one_by_one import Looking, looked_at

log = logging.getLogger(__name__)


def ask_of_earlier(verification: Verification, contest: Contest, sources: DataSources) -> None:
    """Its answers are kept beside the artifact, for the next dataset. They decide nothing about the model, so nothing
    that is met here stops a run: of a model that could not be asked nobody knows what it forgot. After the verdict they
    stay as they are.
    """
    v = verification
    if v.blessings.of_run(contest.run_id) is not None:
        return
    try:
        tasks = left_out(sources, contest.manifest)
        said = _said(v, contest, tasks, sources) if tasks else {}
    except (ModelRefused, ServiceRefused, TryAgain) as error:
        log.warning("what this model forgot is not known: %s", error)
        return
    body = json.dumps(said, ensure_ascii=False).encode()
    v.objects.write(ArtifactFolder(contest.candidate.uri).earlier_answers, body, "application/json")


def _said(v: Verification, contest: Contest, tasks: Sequence[ConfirmedTask], sources: DataSources) -> dict[str, str]:
    """Label by task, of photos that can be had and looked at: a server that one of them takes down says nothing."""
    asked: list[str] = []

    def readable(task: ConfirmedTask) -> bytes | None:
        try:
            body = v.photos.read(task.photo_url)
        except (PhotoMissing, PhotoRefused):
            return None
        return None if sources.inspector.fingerprint(body).fault else body

    def bodies() -> Iterator[bytes]:
        looking = Looking(readable, lambda task, fault: None, lambda task: gives(v.photos, task.photo_url))
        for task, body in zip(tasks, looked_at(tasks, looking), strict=True):
            if body is not None:
                asked.append(task.task_id)
                yield body

    with v.trials.serve(contest.model_type, contest.run_id, contest.candidate) as trial:
        labels = trial.classify(bodies())
    return dict(zip(asked, labels, strict=True))
