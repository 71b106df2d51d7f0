"""MLflow: runs for people to look at, and a registry that mirrors the transition log."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.adapters.mlflow_client import Mlflow, beside_an_error
from pipeline.domain.errors import ExperimentRunDeleted, TrainingInterrupted
from pipeline.domain.models import ModelType, ModelVersion

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_RUN_TAG, _ATTEMPT_TAG, _VERSION_TAG = "retraining.run_id", "retraining.attempt", "retraining.version"
_PROMOTED_TAG = "promoted_at"
# MLflow shows a run with this tag under the one it names.
_PARENT_TAG = "mlflow.parentRunId"
_SYSTEM_SAMPLE_SECONDS = 5
_TAG_CHARACTERS = 4000
_ASIDE = ", set aside"


class MlflowExperiment:
    """One open run. Metrics and files are sent at once, so that a person watching sees them."""

    def __init__(self, mlflow: Mlflow, run_id: str, experiment_id: str) -> None:
        self._mlflow = mlflow
        self.id = run_id
        self.experiment_id = experiment_id

    def log_parameters(self, parameters: dict[str, str]) -> None:
        from mlflow.entities import Param

        with self._mlflow.translated(self.id):
            self._mlflow.client.log_batch(self.id, params=[Param(k, v) for k, v in parameters.items()])

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        from mlflow.entities import Metric

        at = int(time.time() * 1000)
        with self._mlflow.translated(self.id):
            self._mlflow.client.log_batch(self.id, [Metric(k, v, at, step or 0) for k, v in metrics.items()])

    def log_file(self, name: str, body: bytes) -> None:
        with self._mlflow.translated(self.id):
            _attach(self._mlflow.client, self.id, name, body)

    def note(self, notes: dict[str, str]) -> None:
        with self._mlflow.translated(self.id):
            for name, value in notes.items():
                self._mlflow.client.set_tag(self.id, f"retraining.{name}", value[:_TAG_CHARACTERS])


class MlflowExperiments:
    """One run per retraining, with its attempts nested in it."""

    def __init__(self, url: str, link_url: str | None = None) -> None:
        self._url = url
        self._mlflow = Mlflow(url, link_url)

    @contextmanager
    def attempt(self, model_type: ModelType, run_id: str, number: int) -> Iterator[MlflowExperiment]:
        with self._mlflow.translated():
            parent = self._parent(model_type, run_id)
            opened = self._open(parent, run_id, number)
        try:
            with self._system_metrics(opened.id):
                yield opened
        except BaseException as error:
            with beside_an_error():
                self._close((opened.id, parent.id), "KILLED" if isinstance(error, TrainingInterrupted) else "FAILED")
            raise
        # What was trained is not thrown away because nobody could be told that it is.
        with beside_an_error():
            self._close((opened.id, parent.id), "FINISHED")

    def replace_file(self, model_type: ModelType, run_id: str, name: str, body: bytes) -> Sequence[str]:
        client = self._mlflow.client
        with self._mlflow.translated():
            tried = self._attempts(model_type, run_id)
            having = [one for one in tried if any(file.path == name for file in client.list_artifacts(one))]
            for one in having:
                _attach(client, one, name, body)
        return having

    def begun_before(self, model_type: ModelType, moment: datetime) -> Sequence[str]:
        cutoff = int(moment.timestamp() * 1000)
        with self._mlflow.translated():
            old = self._shown(model_type, f"attributes.start_time < {cutoff}")
            later = self._shown(model_type, f"attributes.start_time >= {cutoff}")
        return sorted({_retraining(run) for run in old} - {_retraining(run) for run in later} - {""})

    def delete(self, model_type: ModelType, run_id: str) -> int:
        with self._mlflow.translated():
            shown = [run for tag in _tags_of(run_id) for run in self._shown(model_type, f"tags.`{_RUN_TAG}` = '{tag}'")]
            for run in shown:
                self._mlflow.client.delete_run(run.info.run_id)
        return len(shown)

    def _attempts(self, model_type: ModelType, run_id: str) -> list[str]:
        # A deleted experiment keeps its files until somebody empties the bin.
        queries = [f"tags.`{_RUN_TAG}` = '{tag}'" for tag in _tags_of(run_id)]
        found = [self._shown(model_type, query, deleted_too=True) for query in queries]
        return [str(run.info.run_id) for runs in found for run in runs]

    def _shown(self, model_type: ModelType, query: str, *, deleted_too: bool = False) -> "Sequence[Run]":
        from mlflow.entities import ViewType

        client = self._mlflow.client
        experiment = client.get_experiment_by_name(_name(model_type))
        if experiment is None:
            return []
        view = ViewType.ALL if deleted_too else ViewType.ACTIVE_ONLY
        page = client.search_runs([experiment.experiment_id], query, view)
        found = list(page)
        while page.token:
            page = client.search_runs([experiment.experiment_id], query, view, page_token=page.token)
            found += page
        return found

    def attach(self, experiment_run_id: str, files: Mapping[str, bytes], metrics: Mapping[str, float]) -> str:
        from mlflow.entities import Metric

        client = self._mlflow.client
        with self._mlflow.translated():
            if self._mlflow.deleted(experiment_run_id):
                # What it would show also lies beside the artifact.
                return ""
            run = client.get_run(experiment_run_id)
            for name, body in files.items():
                _attach(client, experiment_run_id, name, body)
            at = int(time.time() * 1000)
            client.log_batch(experiment_run_id, [Metric(k, v, at, 0) for k, v in metrics.items()])
        first = next(iter(files), "")
        page = f"{self._mlflow.link_url}/#/experiments/{run.info.experiment_id}/runs/{experiment_run_id}"
        return f"{page}/artifacts/{first}"

    def set_aside(self, model_type: ModelType, run_id: str) -> None:
        # Parameters of a run can never change, so starting anew needs new runs.
        client = self._mlflow.client
        with self._mlflow.translated():
            experiment_id = self._mlflow.experiment(_name(model_type))
            for run in client.search_runs([experiment_id], f"tags.`{_RUN_TAG}` = '{run_id}'"):
                client.set_tag(run.info.run_id, _RUN_TAG, _set_aside(run_id))

    def link(self, model_type: ModelType, run_id: str) -> str:
        with self._mlflow.translated():
            parent = self._parent(model_type, run_id)
        return f"{self._mlflow.link_url}/#/experiments/{parent.experiment_id}/runs/{parent.id}"

    def _parent(self, model_type: ModelType, run_id: str) -> MlflowExperiment:
        experiment_id = self._mlflow.experiment(_name(model_type))
        return self._run(experiment_id, run_id, {_RUN_TAG: run_id, _ATTEMPT_TAG: "all"})

    def _open(self, parent: MlflowExperiment, run_id: str, number: int) -> MlflowExperiment:
        """The attempt's run, opened together with its parent; earlier attempts whose process died are closed."""
        tags = {_RUN_TAG: run_id, _ATTEMPT_TAG: str(number), _PARENT_TAG: parent.id}
        opened = self._run(parent.experiment_id, f"{run_id} attempt {number}", tags)
        query = f"tags.`{_PARENT_TAG}` = '{parent.id}' and attributes.status = 'RUNNING'"
        for other in self._mlflow.client.search_runs([parent.experiment_id], query):
            if other.info.run_id != opened.id:
                self._mlflow.client.set_terminated(other.info.run_id, "FAILED")
        for run in (parent, opened):
            self._mlflow.client.update_run(run.id, status="RUNNING")
        return opened

    def _run(self, experiment_id: str, name: str, tags: dict[str, str]) -> MlflowExperiment:
        query = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags.items())
        found = self._mlflow.client.search_runs([experiment_id], query, max_results=1)
        run = found[0] if found else self._mlflow.client.create_run(experiment_id, tags=tags, run_name=name)
        return MlflowExperiment(self._mlflow, str(run.info.run_id), experiment_id)

    def _close(self, run_ids: tuple[str, ...], status: str) -> None:
        """A run that a person deleted meanwhile need not be ended."""
        for run_id in run_ids:
            with suppress(ExperimentRunDeleted), self._mlflow.translated(run_id):
                self._mlflow.client.set_terminated(run_id, status)

    @contextmanager
    def _system_metrics(self, run_id: str) -> Iterator[None]:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        monitor = SystemMetricsMonitor(run_id, _SYSTEM_SAMPLE_SECONDS, resume_logging=True, tracking_uri=self._url)
        monitor.start()
        try:
            yield
        finally:
            monitor.finish()


class MlflowModelRegistry:
    """Registered models `laundry` and `face` with the aliases `candidate`, `champion` and `previous`."""

    def __init__(self, url: str) -> None:
        self._mlflow = Mlflow(url)

    def register(
        self, version: ModelVersion, experiment_run_id: str | None, tags: Mapping[str, str] | None = None
    ) -> None:
        client, name = self._mlflow.client, version.model_type.lower()
        with self._mlflow.translated():
            if not client.search_registered_models(f"name = '{name}'"):
                client.create_registered_model(name, description=f"{version.model_type} model, continuously retrained")
            number, made = self._number(name, version.version), None
            if number is None:
                facts = {
                    _VERSION_TAG: version.version,
                    _RUN_TAG: version.run_id,
                    "dataset_id": version.dataset_id,
                    "backbone": version.backbone,
                    "manifest_sha256": version.artifact.manifest_sha256,
                    "accuracy": f"{version.accuracy:.4f}",
                    "trainer_val_accuracy": f"{version.val_accuracy:.4f}",
                }
                made = client.create_model_version(
                    name, version.artifact.uri, run_id=experiment_run_id, tags=facts, description=version.version
                )
                number = str(made.version)
            aliases = client.get_registered_model(name).aliases
            if made is not None or (number not in aliases.values() and "candidate" not in aliases):
                client.set_registered_model_alias(name, "candidate", number)
            for key, value in (tags or {}).items():
                client.set_model_version_tag(name, number, key, value)

    def missing(self, versions: Sequence[ModelVersion]) -> Sequence[ModelVersion]:
        with self._mlflow.translated():
            return [v for v in versions if self._number(v.model_type.lower(), v.version) is None]

    def mirror(self, model_type: ModelType, *, champion: str, previous: str | None, since: datetime) -> None:
        client, name = self._mlflow.client, model_type.lower()
        with self._mlflow.translated():
            aliases = client.get_registered_model(name).aliases
            numbers = {"champion": self._number(name, champion), "previous": self._number(name, previous)}
            for alias, number in numbers.items():
                if number and alias == "champion":
                    # From this a replica that was away learns whether it missed something. Written even when the alias
                    # is right: a version that served in between may never have had the alias.
                    client.set_model_version_tag(name, number, _PROMOTED_TAG, f"{since.timestamp():.3f}")
                if number and aliases.get(alias) != number:
                    client.set_registered_model_alias(name, alias, number)
                elif number is None and alias in aliases:
                    # Deleted in MLflow, or there is none: an alias that names another version would mislead.
                    client.delete_registered_model_alias(name, alias)
            if aliases.get("candidate") in set(numbers.values()) - {None}:
                # A promoted version is no longer a candidate.
                client.delete_registered_model_alias(name, "candidate")

    def _number(self, name: str, version: str | None) -> str | None:
        """MLflow numbers versions 1, 2, 3 …; ours is a tag."""
        if version is None:
            return None
        found = self._mlflow.client.search_model_versions(f"name = '{name}' and tags.`{_VERSION_TAG}` = '{version}'")
        return str(found[0].version) if found else None


def _name(model_type: ModelType) -> str:
    """Name of the experiment that holds the retrainings of a model type."""
    return f"{model_type.lower()} retraining"


def _set_aside(run_id: str) -> str:
    return f"{run_id}{_ASIDE}"


def _tags_of(run_id: str) -> tuple[str, str]:
    return run_id, _set_aside(run_id)


def _retraining(run: "Run") -> str:
    return str(run.data.tags.get(_RUN_TAG, "")).removesuffix(_ASIDE)


def _attach(client: "MlflowClient", run_id: str, name: str, body: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(body)
        client.log_artifact(run_id, str(path))
