"""The metrics that the exporter serves: every family of them, and how each is computed.

Names, labels and help texts are a contract with dashboards and alerts (include/prometheus, include/grafana). A label
takes few values: versions are the newest ones and those that serve. What is not known has no series at all.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pipeline.domain.models import ModelType


class Type(StrEnum):
    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True)
class Family:
    """`name` without the prefix `retraining_`; that of a counter ends with `_total`."""

    name: str
    labels: tuple[str, ...]
    help: str

    @property
    def type(self) -> Type:
        return Type.COUNTER if self.name.endswith("_total") else Type.GAUGE


@dataclass(frozen=True)
class Fact:
    """One number of a family; `labels` are the values of the family's labels, in their order."""

    family: str
    labels: tuple[str, ...]
    value: float


def known(family: str, labels: tuple[str, ...], value: float | None) -> Iterator[Fact]:
    """The fact, or nothing for what was not measured."""
    if value is not None and math.isfinite(value):
        yield Fact(family, labels, value)


def label_of(model_type: ModelType) -> str:
    """The model type as the model server writes it, so that the series of both join."""
    return model_type.lower()


_MODEL, _VERSION = ("model",), ("model", "version")

_OF_VERSIONS = (
    Family(
        "model_info",
        (*_VERSION, "status", "backbone", "dataset_id"),
        "1 for each of the newest versions, and for those that serve or are on trial",
    ),
    Family(
        "model_accuracy_ratio",
        (*_VERSION, "split"),
        "Share of photos judged right: train as the trainer saw it; validation and test (the holdout) through a real "
        "server, as verification measured them",
    ),
    Family(
        "model_loss",
        (*_VERSION, "split"),
        "Cross-entropy of the epoch that was kept, on the training and validation images, by the trainer",
    ),
    Family("model_f1_ratio", _VERSION, "Mean F1 of the classes on the validation photos, by the trainer"),
    Family("model_class_f1_ratio", (*_VERSION, "label"), "F1 of one class on the validation photos, by the trainer"),
    Family("model_auc_ratio", _VERSION, "Area under the ROC curve on the validation photos, by the trainer"),
    Family(
        "model_confusion_photos",
        (*_VERSION, "actual", "predicted"),
        "Validation photos by what people said and what the model says, by the trainer",
    ),
    Family(
        "model_check_value",
        (*_VERSION, "check"),
        "What verification measured of a model of any kind, by the name and in the unit of the verdict's check",
    ),
    Family("model_check_bar", (*_VERSION, "check"), "What the check was held against; absent where it has no number"),
)
_OF_DEPLOYMENTS = (
    Family("champion_info", _VERSION, "1 for the version that serves by the transition log"),
    Family(
        "deployments_total",
        (*_MODEL, "kind", "outcome"),
        "Changes of what serves by kind and how far they came, each counted once for each outcome: requested, done, "
        "failed, or unconfirmed while nobody knows; counted from the append-only transition log",
    ),
    Family("last_promotion_timestamp_seconds", _MODEL, "When the champion last changed other than by a rollback"),
    Family("promotions_frozen", _MODEL, "1 while nothing is promoted after an automatic rollback, else 0"),
    Family("promotions_frozen_timestamp_seconds", _MODEL, "Since when promotions are frozen; absent when they are not"),
    Family("rollback_failed", _MODEL, "1 when the latest change of champion was a rollback that came to nothing"),
    Family("deployment_incomplete", _MODEL, "1 while replicas are missing from the champion's change"),
    Family("registry_is_behind", _MODEL, "1 while the registry names another champion than the transition log"),
    Family("canary_timestamp_seconds", _VERSION, "Since when the version is on trial; absent when none is"),
)
_OF_PRODUCTION = (
    Family(
        "live_accuracy_state",
        (*_VERSION, "state"),
        "1 for the state that the monitor saw at its newest look, 0 for the others; unknown when confirmations are too "
        "few or too old to tell",
    ),
    Family(
        "live_accuracy_ratio",
        (*_VERSION, "kind"),
        "Confirmations that left the verdict as it was, of all in the window at the monitor's newest look: observed, "
        "or blind when the reviewer did not see the verdict; absent while there are too few to tell",
    ),
    Family("live_accuracy_low_ratio", (*_VERSION, "kind"), "Lower end of the 95 % Wilson interval of live accuracy"),
    Family("live_accuracy_high_ratio", (*_VERSION, "kind"), "Upper end of the 95 % Wilson interval of live accuracy"),
    Family(
        "live_confirmations", (*_VERSION, "kind"), "Confirmations behind live accuracy at the monitor's newest look"
    ),
    Family(
        "live_accuracy_looked_timestamp_seconds", _MODEL, "When the monitor last looked; absent before its first look"
    ),
    Family("monitor_interval_seconds", _MODEL, "Longest time between two looks of the monitor, by its schedule"),
    Family(
        "gate_vs_live_gap_ratio",
        _VERSION,
        "Validation accuracy of the verdict minus live accuracy of the version at the monitor's last look; absent "
        "while either is unknown",
    ),
    Family(
        "gate_vs_live_correlation",
        _MODEL,
        "Pearson's correlation of the same two over the versions that have both; absent for fewer than five",
    ),
)
_OF_FACES = (
    Family(
        "face_rates_state",
        (*_VERSION, "state"),
        "1 for the state that the monitor saw a face champion in at its newest look, 0 for the others; unknown when "
        "people are too few or words too old to tell",
    ),
    Family(
        "face_rate_ratio",
        (*_VERSION, "rate"),
        "Checks at doors that were wrong, of those that people confirmed in the window at the monitor's newest look: "
        "refused, of checks that showed the person, accepted, of those let in, unnamed and misnamed (not known, and "
        "taken for somebody else), of checks that asked whom a photo shows; absent while too few people are behind it",
    ),
    Family("face_rate_low_ratio", (*_VERSION, "rate"), "Lower end of its 95 % interval, which counts people"),
    Family("face_rate_high_ratio", (*_VERSION, "rate"), "Upper end of its 95 % interval, which counts people"),
    Family("face_rate_people", (*_VERSION, "rate"), "People behind the rate at the monitor's newest look"),
)
_OF_PEOPLE = (
    Family(
        "confirmations_total",
        (*_VERSION, "final_result", "corrected"),
        "Confirmations stored, each once, by the version that judged; `other` are those of versions that nobody "
        "registered, or of none",
    ),
    Family("reviews_timed_total", _MODEL, "Confirmations that said how long their review took (reviewSeconds)"),
    Family("review_seconds_total", _MODEL, "Seconds of review of all of those together"),
    Family("photos_erased_total", (), "Photos that were forgotten on request"),
)
_OF_WHAT_MODELS_SAY = (
    Family(
        "predictions_total",
        (*_VERSION, "branch", "label"),
        "Verdicts of the model, whatever people said of them, counted when their confirmation comes in, each once; "
        "branches with fewest are `other`, and `none` is where no branch is named",
    ),
    Family("predictions_rated_total", (*_VERSION, "branch"), "Of those, verdicts that said how sure the model was"),
    Family(
        "prediction_confidence_total",
        (*_VERSION, "branch"),
        "How sure it was, 0 to 1, of all of these together: divided by predictions_rated_total it is the mean",
    ),
)
_OF_RETRAINING = (
    Family("corrections_pending", _MODEL, "Corrections that the champion has not learned from"),
    Family("corrections_untried", _MODEL, "Corrections stored since the last training that came to a verdict"),
    Family("corrections_needed", (*_MODEL, "of"), "Corrections that make a retraining due, or an urgent one"),
    Family("training_interval_seconds", _MODEL, "Time that must pass between two trainings that are not urgent"),
    Family("decisions_total", (*_MODEL, "rule", "due"), "Answers of the retraining policy by the rule that fired"),
    Family("last_decision_timestamp_seconds", _MODEL, "When the retraining policy was last asked"),
    Family("last_training_timestamp_seconds", _MODEL, "When the newest training that came to an end ended"),
    Family(
        "runs_ended",
        (*_MODEL, "outcome"),
        "Retrainings that ended, by outcome; lost: their claim was taken away; one that goes on again is not counted",
    ),
    Family("refusals_in_a_row", _MODEL, "Newest retrainings whose model was refused, up to the last other outcome"),
    Family("run_timestamp_seconds", _MODEL, "Since when a retraining holds the claim; absent when none does"),
)
_OF_OPERATION = (
    Family(
        "records_begun_timestamp_seconds",
        (),
        "When the tables of the records were made: from then on what never happened is late",
    ),
    Family(
        "replicas_expected",
        (),
        "Replicas that have to serve, without those out of rotation (RETRAIN_EXPORTER_REPLICAS, else the addresses of "
        "RETRAIN_FACESERVE_REPLICAS); absent where a name stands for as many as there are",
    ),
    Family(
        "replica_out_of_rotation",
        ("replica",),
        "1 for each address that a person took out of rotation, as the exporter's own settings say "
        "(RETRAIN_FACESERVE_OUT_OF_ROTATION)",
    ),
    Family(
        "disk_free_ratio",
        (),
        "Share of the disk that is free where the exporter runs: in compose and on the local stack that of all of it",
    ),
    Family("airflow_healthy", ("component",), "1 for each part of Airflow that says it is healthy, else 0"),
    Family(
        "confirmations_waiting", (), "Messages in the queue of confirmations that nobody has taken, asked of the broker"
    ),
    Family("dead_letters", (), "Messages in the dead-letter queue, asked of the broker"),
    Family("outbox_waiting", ("database",), "Events that are committed and not published yet"),
    Family("outbox_oldest_seconds", ("database",), "Age of the oldest event that is not published yet; 0 for none"),
    Family("notices_oldest_seconds", ("database",), "Age of the oldest event that nobody was told of yet; 0 for none"),
    Family(
        "dag_paused",
        ("dag_id",),
        "Of each of our DAGs 1 while it is paused, else 0, asked of Airflow, at most half a minute ago; where the "
        "exporter has no login there (RETRAIN_EXPORTER_AIRFLOW_USER), 1 for each that the monitor saw paused",
    ),
    Family("dag_files_unreadable", (), "Files of DAGs that Airflow cannot read, asked of it with the same login"),
    Family(
        "airflow_oldest_run_timestamp_seconds",
        (),
        "When the oldest run of the monitor was due that Airflow remembers: no other runs so often, so that where old "
        "runs are thrown away this moves on; asked with the same login",
    ),
    Family(
        "airflow_history_seconds", (), "For how long Airflow should remember its runs (RETRAIN_EXPORTER_HISTORY_DAYS)"
    ),
    Family(
        "safeguard_timestamp_seconds",
        ("kind",),
        "When what protects the databases last succeeded: base, a copy of all; log, what was written after it; "
        "restore_test, a restore of both; absent before the first, and where somebody else backs them up",
    ),
    Family(
        "safeguard_expected_timestamp_seconds",
        ("kind",),
        "Since when the same has to succeed: since the records began, where RETRAIN_EXPORTER_BACKUPS says that backups "
        "are made here; else absent",
    ),
    Family("step_failing_timestamp_seconds", ("dag_id", "step"), "Since when a step of a DAG fails for good"),
)
_OF_THE_EXPORTER = (
    Family("exporter_up", ("source",), "1 when the source answered this scrape; of one that did not, nothing is told"),
    Family("exporter_scrape_seconds", ("source",), "How long the source took to answer this scrape"),
)

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        *_OF_VERSIONS,
        *_OF_DEPLOYMENTS,
        *_OF_PRODUCTION,
        *_OF_FACES,
        *_OF_PEOPLE,
        *_OF_WHAT_MODELS_SAY,
        *_OF_RETRAINING,
        *_OF_OPERATION,
        *_OF_THE_EXPORTER,
    )
}
