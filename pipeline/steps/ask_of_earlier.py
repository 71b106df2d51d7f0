"""Ask a new model about earlier corrections that it did not learn from: what it forgot is learned again first."""

import json
from collections.abc import Iterator, Sequence

from pipeline.domain.dataset import ConfirmedTask
from pipeline.domain.lineage import Gone
from pipeline.ports.bundles import DataSources, Verification
from pipeline.steps.contest import Contest
from pipeline.steps.deciding_nothing import deciding_nothing
from pipeline.steps.left_out import left_out
from pipeline.steps.readable import Readable


@deciding_nothing("what this model forgot", otherwise=None)
def ask_of_earlier(verification: Verification, contest: Contest, sources: DataSources) -> None:
    """Its answers are kept beside the artifact, for the next dataset. After the verdict they stay as they are."""
    v = verification
    if v.blessings.of_run(contest.run_id) is not None:
        return
    gone = Gone.of(sources.erasures.all())
    tasks = left_out(sources, contest.manifest, without=gone)
    said = _said(v, contest, tasks, Readable(v.photos, sources.inspector, gone)) if tasks else {}
    body = json.dumps(said, ensure_ascii=False).encode()
    v.objects.write(contest.folder.earlier_answers, body, "application/json")


def _said(v: Verification, contest: Contest, tasks: Sequence[ConfirmedTask], readable: Readable) -> dict[str, str]:
    """Label by task."""
    asked: list[str] = []

    def bodies() -> Iterator[bytes]:
        for task, body in readable.bodies(tasks):
            asked.append(task.task_id)
            yield body

    with v.trials.serve(contest.model_type, contest.run_id, contest.candidate) as trial:
        labels = trial.classify(bodies())
    return dict(zip(asked, labels, strict=True))
