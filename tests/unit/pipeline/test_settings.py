"""Environment variables: each changes its one value, wrong ones are refused by name, and the README tells the truth."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pipeline.__main__ import main
from pipeline.bootstrap import Pipeline
from pipeline.bootstrap.peoples_words import administrators_only
from pipeline.bootstrap.settings_at_start import cheap_hours, demand_settings, longest_gap_seconds, monitor_schedule
from pipeline.bootstrap.settings_listing import settings_as_markdown
from pipeline.bootstrap.wiring import Wiring
from pipeline.domain.bounds import Range
from pipeline.domain.errors import GiveUp
from pipeline.domain.rollout import CanaryPolicy
from pipeline.settings import Settings
from pipeline.settings.variables import variables

ROOT = Path(__file__).parents[3]
ALL = variables(Settings)

# A name that people set once goes on working: this list only grows. `path` is where its value is read.
NAMES = {
    "RETRAIN_AMQP_URL": ("amqp://other", "amqp_url"),
    "RETRAIN_TASK_EXCHANGE": ("other", "task_exchange"),
    "RETRAIN_TASK_QUEUE": ("other", "task_queue"),
    "RETRAIN_MODEL_EXCHANGE": ("other", "model_exchange"),
    "RETRAIN_MLOPS_DSN": ("postgresql://other", "mlops_dsn"),
    "RETRAIN_MLOPS_VIEWER_DSN": ("postgresql://other", "mlops_viewer_dsn"),
    "RETRAIN_HELPER_DSN": ("postgresql://other", "helper_dsn"),
    "RETRAIN_ACCESS_DSN": ("postgresql://other", "access_dsn"),
    "RETRAIN_FACE_MIN_CORRECTIONS": ("7", "face_retraining.min_corrections"),
    "RETRAIN_FACE_MIN_TOUCHED": ("7", "face_retraining.min_touched"),
    "RETRAIN_FACE_MIN_DAYS_BETWEEN_TRAININGS": ("7.5", "face_retraining.min_days"),
    "RETRAIN_FACE_RETRY_HOURS": ("7.5", "face_retraining.retry_hours"),
    "RETRAIN_FACE_MAX_CHECKS": ("7", "face_selection.max_checks"),
    "RETRAIN_FACE_MAX_CONFIRMER_SHARE": ("0.5", "face_selection.max_confirmer_share"),
    "RETRAIN_S3_ENDPOINT": ("http://other", "s3_endpoint"),
    "RETRAIN_S3_ACCESS_KEY_ID": ("other", "s3_access_key_id"),
    "RETRAIN_S3_SECRET_ACCESS_KEY": ("other", "s3_secret_access_key"),
    "RETRAIN_S3_SESSION_TOKEN": ("other", "s3_session_token"),
    "RETRAIN_S3_REGION": ("other", "s3_region"),
    "RETRAIN_PHOTO_BUCKETS": ('["a", "b"]', "photo_buckets"),
    "RETRAIN_DATASET_BUCKET": ("other", "dataset_bucket"),
    "RETRAIN_MODEL_BUCKET": ("other", "model_bucket"),
    "RETRAIN_MLFLOW_URL": ("http://other", "mlflow_url"),
    "RETRAIN_MLFLOW_LINK_URL": ("http://other", "mlflow_link_url"),
    "RETRAIN_FACESERVE_REPLICAS": ('["a:1", "b:2"]', "faceserve_replicas"),
    "RETRAIN_FACESERVE_OUT_OF_ROTATION": ('["127.0.0.1:8600"]', "faceserve_out_of_rotation"),
    "RETRAIN_FACESERVE_TOKEN": ("other", "faceserve_token"),
    "RETRAIN_ADMINISTRATORS": ('["kim"]', "administrators"),
    "RETRAIN_GIT_COMMIT": ("abc", "git_commit"),
    "RETRAIN_EXECUTOR": ("celery", "executor"),
    "RETRAIN_SLICES_AT_ONCE": ("7", "slices_at_once"),
    "RETRAIN_INTAKE_ENOUGH_MESSAGES": ("7", "intake.enough_messages"),
    "RETRAIN_INTAKE_LONGEST_WAIT_SECONDS": ("7.5", "intake.longest_wait_seconds"),
    "RETRAIN_INTAKE_SILENCE_SECONDS": ("7.5", "intake.silence_seconds"),
    "RETRAIN_INTAKE_LONGEST_DRAIN_SECONDS": ("7.5", "intake.longest_drain_seconds"),
    "RETRAIN_MIN_CORRECTIONS": ("99", "retraining.min_corrections"),
    "RETRAIN_URGENT_CORRECTIONS": ("301", "retraining.urgent_corrections"),
    "RETRAIN_MIN_DAYS_BETWEEN_TRAININGS": ("0.5", "retraining.min_days"),
    "RETRAIN_CORRECTION_LIMIT": ("7", "selection.correction_limit"),
    "RETRAIN_SAMPLE_LIMIT": ("7", "selection.sample_limit"),
    "RETRAIN_HISTORY_LIMIT": ("7", "selection.history_limit"),
    "RETRAIN_REPLAY_PER_CORRECTION": ("0.5", "selection.replay_per_correction"),
    "RETRAIN_EARLIER_LIMIT": ("7", "selection.earlier_limit"),
    "RETRAIN_MIN_TRAIN_PHOTOS": ("7", "selection.min_train_photos"),
    "RETRAIN_VALIDATION_SHARE": ("0.25", "selection.validation_share"),
    "RETRAIN_HOLDOUT_SHARE": ("0.25", "selection.holdout_share"),
    "RETRAIN_HOLDOUT_LIMIT": ("7", "selection.holdout_limit"),
    "RETRAIN_MAX_UNUSABLE_SHARE": ("0.25", "quality.max_unusable_share"),
    "RETRAIN_MIN_CLASS_SHARE": ("0.25", "quality.min_class_share"),
    "RETRAIN_MIN_CLASS_SUPPORT": ("7", "quality.min_class_support"),
    "RETRAIN_BLURRED_BELOW": ("7.5", "quality.blurred"),
    "RETRAIN_WARN_DRIFT": ("0.25", "quality.warn_drift"),
    "RETRAIN_WARN_HOLDOUT_USES": ("7", "quality.warn_holdout_uses"),
    "RETRAIN_AUGMENTATION_COPIES": ("7", "augmentation.copies"),
    "RETRAIN_AUGMENTATION_ROTATION_DEGREES": ("7.5", "augmentation.rotation_degrees"),
    "RETRAIN_AUGMENTATION_FLIP_PROBABILITY": ("0.25", "augmentation.flip_probability"),
    "RETRAIN_AUGMENTATION_BRIGHTNESS": ("0.25", "augmentation.brightness"),
    "RETRAIN_AUGMENTATION_CONTRAST": ("0.25", "augmentation.contrast"),
    "RETRAIN_PHOTOS_PER_SLICE": ("7", "augmentation.photos_per_slice"),
    "RETRAIN_AUGMENTATION_SEED": ("8", "augmentation.seed"),
    "RETRAIN_TRAINING_RUNTIME": ("kubernetes", "training_runtime"),
    "RETRAIN_TRAINING_IMAGE": ("image@sha256:abc", "training_image"),
    "RETRAIN_BACKBONE": ("EfficientNetLite0", "hyperparameters.backbone"),
    "RETRAIN_WEIGHTS_URI": ("s3://other", "weights_uri"),
    "RETRAIN_EPOCHS": ("7", "hyperparameters.epochs"),
    "RETRAIN_BATCH_SIZE": ("7", "hyperparameters.batch_size"),
    "RETRAIN_LEARNING_RATE": ("0.25", "hyperparameters.learning_rate"),
    "RETRAIN_PATIENCE": ("7", "hyperparameters.patience"),
    "RETRAIN_LABEL_SMOOTHING": ("0.25", "hyperparameters.label_smoothing"),
    "RETRAIN_BALANCE_CLASSES": ("false", "hyperparameters.balance_classes"),
    "RETRAIN_FINE_TUNE_EPOCHS": ("7", "hyperparameters.fine_tune_epochs"),
    "RETRAIN_SWEEP": ("true", "hyperparameters.sweep"),
    "RETRAIN_EXPORT_FORMATS": ('["onnx"]', "export_formats"),
    "RETRAIN_SIGNING_KEY": ("/keys/other.pem", "signing_key"),
    "RETRAIN_TRAINING_MEMORY_MB": ("4096", "training_memory_mb"),
    "RETRAIN_DEMANDED_GPUS": ("2", "demanded_gpus"),
    "RETRAIN_TRAINING_POD_GPUS": ("4", "training_pod.gpus"),
    "RETRAIN_TRAINING_POD_CPUS": ("7.5", "training_pod.cpus"),
    "RETRAIN_TRAINING_POD_MEMORY_GB": ("7", "training_pod.memory_gb"),
    "RETRAIN_TRAINING_POD_GPU_LABEL": ("a=b", "training_pod.gpu_label"),
    "RETRAIN_MIN_VALIDATION_ACCURACY": ("0.25", "verification.min_validation_accuracy"),
    "RETRAIN_MIN_HOLDOUT_ACCURACY": ("0.25", "verification.min_holdout_accuracy"),
    "RETRAIN_MIN_CLASS_ACCURACY": ("0.25", "verification.min_class_accuracy"),
    "RETRAIN_MAX_MEAN_LATENCY_MS": ("7.5", "verification.max_mean_latency_ms"),
    "RETRAIN_MAX_MEMORY_BYTES": ("7", "verification.max_memory_bytes"),
    "RETRAIN_MAX_GPU_UTILIZATION": ("0.25", "verification.max_gpu_utilization"),
    "RETRAIN_MIN_THROUGHPUT_PER_SECOND": ("7.5", "verification.min_throughput_per_second"),
    "RETRAIN_INCONCLUSIVE": ("approval", "inconclusive"),
    "RETRAIN_MIN_SUPPORT": ("7", "verification.min_support"),
    "RETRAIN_NON_INFERIORITY_MARGIN": ("0.25", "verification.comparison.margin"),
    "RETRAIN_MIN_HOLDOUT_PHOTOS": ("7", "verification.comparison.min_holdout_photos"),
    "RETRAIN_MAX_NEGATIVE_FLIPS": ("0.25", "verification.comparison.max_negative_flips"),
    "RETRAIN_MAX_SLICE_FALL": ("0.25", "verification.comparison.max_slice_fall"),
    "RETRAIN_SLICE_LIMITS": ('[["dark photos", 0.05]]', "verification.comparison.slice_limits"),
    "RETRAIN_MAX_GAIN": ("0.25", "verification.comparison.max_gain"),
    "RETRAIN_PERFORMANCE_REQUESTS": ("7", "load_test.requests"),
    "RETRAIN_PERFORMANCE_CONCURRENCY": ("7", "load_test.concurrency"),
    "RETRAIN_FACESERVE_TLS_CA": ("/keys/ca.pem", "faceserve_tls_ca"),
    "RETRAIN_FACESERVE_TLS_CERTIFICATE": ("/keys/own.pem", "faceserve_tls_certificate"),
    "RETRAIN_FACESERVE_TLS_KEY": ("/keys/own.key", "faceserve_tls_key"),
    "RETRAIN_PREPARE_TIMEOUT_SECONDS": ("7.5", "prepare_timeout_seconds"),
    "RETRAIN_ACTIVATE_TIMEOUT_SECONDS": ("7.5", "activate_timeout_seconds"),
    "RETRAIN_ROLLBACK_STRAGGLER_SECONDS": ("7.5", "rollback_straggler_seconds"),
    "RETRAIN_LIVE_WINDOW_HOURS": ("7.5", "live.window_hours"),
    "RETRAIN_LIVE_MIN_CONFIRMATIONS": ("7", "live.min_confirmations"),
    "RETRAIN_LIVE_MATURED_MINUTES": ("0", "live.matured_minutes"),
    "RETRAIN_LIVE_STALE_HOURS": ("7.5", "live.stale_hours"),
    "RETRAIN_LIVE_SILENT_DAYS": ("7.5", "live.silent_days"),
    "RETRAIN_LIVE_ALERT_ACCURACY": ("0.95", "live.alert_accuracy"),
    "RETRAIN_LIVE_ROLLBACK_ACCURACY": ("0.25", "live.rollback_accuracy"),
    "RETRAIN_MONITOR_SCHEDULE": ("* * * * *", "monitor_schedule"),
    "RETRAIN_CANARY_PERCENT": ("25", "canary.percent"),
    "RETRAIN_CANARY_MIN_CONFIRMATIONS": ("7", "canary.min_confirmations"),
    "RETRAIN_CANARY_MARGIN": ("0.25", "canary.margin"),
    "RETRAIN_CANARY_DEADLINE_HOURS": ("7.5", "canary.deadline_hours"),
    "RETRAIN_KEEP_VERSIONS": ("7", "retention.keep"),
    "RETRAIN_ARCHIVE_URI": ("s3://other/", "archive_uri"),
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in os.environ:
        if name.startswith("RETRAIN_"):
            monkeypatch.delenv(name)


def everything(settings):
    """Every value by its path, as it would stand in the environment."""
    return {".".join(v.path): in_environment(v.value_in(settings)) for v in ALL}


def in_environment(value):
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool | tuple):
        return json.dumps(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_changes_its_value_and_nothing_else(monkeypatch, name):
    text, path = NAMES[name]
    before = everything(Settings())
    monkeypatch.setenv(name, text)
    after = everything(Settings())
    assert {p: value for p, value in after.items() if value != before[p]} == {path: text}


def test_every_variable_has_a_name_of_its_own_and_says_what_it_means():
    assert len({v.name for v in ALL}) == len(ALL)
    assert set(NAMES) <= {v.name for v in ALL}
    assert [v.name for v in ALL if len(v.meaning) < 15] == []


def test_every_number_has_bounds_and_its_default_is_within_them():
    numbers = [v for v in ALL if v.kind in {int, float, int | None}]
    assert len(numbers) > 70
    assert [v.name for v in numbers if v.bounds is None] == []
    assert [v.name for v in numbers if v.default is not None and not v.bounds.allows(v.default)] == []


def test_a_default_stands_in_its_policy_alone():
    assert Settings().canary == CanaryPolicy()


def test_lower_case_and_empty_values_are_understood(monkeypatch):
    monkeypatch.setenv("retrain_epochs", "7")
    monkeypatch.setenv("RETRAIN_TRAINING_MEMORY_MB", "")
    assert (Settings().hyperparameters.epochs, Settings().training_memory_mb) == (7, None)


def test_a_keyword_that_is_no_setting_is_refused():
    with pytest.raises(GiveUp, match="epochs"):
        Settings(epochs=7)


# Wrong values


REFUSED = [
    ({"RETRAIN_EPOCHS": "many"}, "RETRAIN_EPOCHS is 'many', but must be a whole number from 1 to 1,000"),
    ({"RETRAIN_EPOCHS": "0"}, "RETRAIN_EPOCHS is '0', but must be a whole number from 1 to 1,000"),
    ({"RETRAIN_CANARY_PERCENT": "150"}, "RETRAIN_CANARY_PERCENT is '150', but must be a number, above 0, at most 100"),
    ({"RETRAIN_MAX_GAIN": "nan"}, "RETRAIN_MAX_GAIN is 'nan', but must be a number from 0 to 1"),
    (
        {"RETRAIN_TRAINING_MEMORY_MB": "-1"},
        "RETRAIN_TRAINING_MEMORY_MB is '-1', but must be a whole number from 1 to 1,000,000,000",
    ),
    ({"RETRAIN_BACKBONE": "VGG"}, "RETRAIN_BACKBONE is 'VGG', but must be one of "),
    ({"RETRAIN_INCONCLUSIVE": "me"}, "RETRAIN_INCONCLUSIVE is 'me', but must be one of floors, approval"),
    ({"RETRAIN_BALANCE_CLASSES": "maybe"}, "RETRAIN_BALANCE_CLASSES is 'maybe', but must be true or false"),
    ({"RETRAIN_PHOTO_BUCKETS": "tasks"}, "RETRAIN_PHOTO_BUCKETS is 'tasks', but must be a JSON list"),
    (
        {"RETRAIN_EXPORT_FORMATS": '["onnx", "tar"]'},
        """RETRAIN_EXPORT_FORMATS is '["onnx", "tar"]', but must be a JSON list, each one of int8, onnx""",
    ),
    (
        {"RETRAIN_MIN_CORRECTIONS": "400"},
        "RETRAIN_MIN_CORRECTIONS is 400, RETRAIN_URGENT_CORRECTIONS is 300: need 0 < min_corrections",
    ),
    (
        {"RETRAIN_HOLDOUT_SHARE": "0.9"},
        "RETRAIN_VALIDATION_SHARE is 0.16, RETRAIN_HOLDOUT_SHARE is 0.9: validation_share and holdout_share leave",
    ),
    ({"RETRAIN_AMQP_URL": "rabbitmq:5672"}, "RETRAIN_AMQP_URL is '**********', but must be an address such as amqp://"),
    ({"RETRAIN_AMQP_URL": "amqp://guest:guest@h:port"}, "RETRAIN_AMQP_URL is '**********', but must be an address"),
    ({"RETRAIN_MLOPS_DSN": "mysql://db/x"}, "RETRAIN_MLOPS_DSN is '**********', but must be an address such as postgr"),
    ({"RETRAIN_S3_ENDPOINT": "s3:9000"}, "RETRAIN_S3_ENDPOINT is 's3:9000', but must be an address such as http://"),
    ({"RETRAIN_MLFLOW_URL": "http://"}, "RETRAIN_MLFLOW_URL is 'http://', but must be an address such as http://"),
    ({"RETRAIN_MONITOR_SCHEDULE": "hourly"}, "RETRAIN_MONITOR_SCHEDULE is 'hourly', but must be a cron expression"),
    ({"RETRAIN_MONITOR_SCHEDULE": "*/15 24 * * *"}, "RETRAIN_MONITOR_SCHEDULE is '*/15 24 * * *', but must be a cron"),
    ({"RETRAIN_FACESERVE_REPLICAS": "[]"}, "RETRAIN_FACESERVE_REPLICAS is empty, but must name a replica"),
    (
        {"RETRAIN_FACESERVE_REPLICAS": '["a:8600"]', "RETRAIN_FACESERVE_OUT_OF_ROTATION": '["a:8600", "b:8600"]'},
        "RETRAIN_FACESERVE_OUT_OF_ROTATION names b:8600, but must name replicas of RETRAIN_FACESERVE_REPLICAS (a:8600)",
    ),
    (
        {"RETRAIN_LIVE_ROLLBACK_ACCURACY": "0.9"},
        "RETRAIN_LIVE_ALERT_ACCURACY is 0.85, RETRAIN_LIVE_ROLLBACK_ACCURACY is 0.9: rollback_accuracy must not be",
    ),
    (
        {"RETRAIN_LIVE_ALERT_ACCURACY": "0.99"},
        "RETRAIN_LIVE_ALERT_ACCURACY is 0.99, RETRAIN_LIVE_RECOVERY_MARGIN is 0.02: alert_accuracy and recovery_margin",
    ),
    (
        {"RETRAIN_LIVE_MATURED_MINUTES": "20000"},
        "RETRAIN_LIVE_WINDOW_HOURS is 168.0, RETRAIN_LIVE_MATURED_MINUTES is 20000: window_hours must be longer than",
    ),
    (
        {"RETRAIN_FACE_LIVE_MATURED_MINUTES": "20000"},
        "RETRAIN_FACE_LIVE_WINDOW_HOURS is 168.0, RETRAIN_FACE_LIVE_MATURED_MINUTES is 20000: window_hours must be",
    ),
    (
        {"RETRAIN_FACE_MIN_PHOTOS": "6"},
        "RETRAIN_FACE_MIN_PHOTOS is 6, RETRAIN_FACE_MAX_PHOTOS is 5: min_photos must not be above max_photos",
    ),
    ({"RETRAIN_CANARY_MARGIN": "0"}, "RETRAIN_CANARY_MARGIN is '0', but must be a number, above 0, at most 1"),
    (
        {"RETRAIN_EPOCHS": "0", "RETRAIN_PATIENCE": "0"},
        "RETRAIN_EPOCHS is '0', but must be a whole number from 1 to 1,000; RETRAIN_PATIENCE is '0', but",
    ),
]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RETRAIN_MLOPS_DSN", "postgresql:///mlops?host=/tmp/socket"),
        ("RETRAIN_MLOPS_DSN", "host=/tmp/socket dbname=mlops"),
        ("RETRAIN_HELPER_DSN", "postgres://reader@[::1]/helper"),
        ("RETRAIN_AMQP_URL", "amqps://u:p%40ss@broker/%2F"),
        ("RETRAIN_S3_ENDPOINT", "https://s3.example.com"),
        ("RETRAIN_MONITOR_SCHEDULE", "* * * * *"),
        ("RETRAIN_MONITOR_SCHEDULE", "0-30/5,45 8-17 1,15 * 1-5"),
    ],
)
def test_every_usual_way_to_write_it_is_taken(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert Settings()


@pytest.mark.parametrize(("environment", "sentence"), REFUSED, ids=[" ".join(e) for e, _ in REFUSED])
def test_a_wrong_value_is_refused_with_its_variable_and_what_is_allowed(monkeypatch, environment, sentence):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(GiveUp) as refused:
        Settings()
    assert str(refused.value).startswith(sentence)


def test_the_command_line_refuses_it_without_a_traceback():
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "consider"],
        cwd=ROOT,
        env={**os.environ, "RETRAIN_PATIENCE": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "refused: RETRAIN_PATIENCE is '0', but must be a whole number from 1 to 1,000,000,000\n"


@given(st.sampled_from([v for v in ALL if isinstance(v.bounds, Range)]), st.floats())
def test_no_number_out_of_its_bounds_comes_through(variable, number):
    number = number if variable.kind is float or number != number or abs(number) == float("inf") else int(number)  # noqa: PLR0124
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable.name, str(number))
        try:
            value = variable.value_in(Settings())
        except GiveUp as refused:
            assert variable.name in str(refused)
        else:
            assert variable.bounds.allows(number) and value == number


@pytest.mark.parametrize("variable", [v for v in ALL if isinstance(v.bounds, Range)], ids=lambda v: v.name)
def test_every_number_has_two_ends_and_every_time_is_one_that_can_be_reckoned_with(variable):
    ends = variable.bounds
    least = ends.above if ends.at_least is None else ends.at_least
    most = ends.below if ends.at_most is None else ends.at_most
    assert least is not None and most is not None
    unit = variable.path[-1].rpartition("_")[2]
    if unit in {"days", "hours", "minutes", "seconds"}:
        assert datetime.now(UTC) - timedelta(**{unit: most})


# What people see


def listed(*options):
    shown = CliRunner().invoke(main, ["settings", *options], catch_exceptions=False)
    assert shown.exit_code == 0
    return shown.stdout


def test_the_list_has_every_setting_with_value_source_default_bounds_and_meaning(monkeypatch):
    monkeypatch.setenv("RETRAIN_EPOCHS", "7")
    shown = listed()
    assert sorted(re.findall(r"^  (RETRAIN_\w+) = ", shown, re.MULTILINE)) == sorted(v.name for v in ALL)
    assert "RETRAIN_EPOCHS = 7  (from the environment; default 50; a whole number from 1 to 1,000)\n" in shown
    assert "RETRAIN_PATIENCE = 5  (default; a whole number from 1 to 1,000,000,000)\n" in shown
    assert "      Epochs without better val_loss after which training stops.\n" in shown


def test_secrets_are_masked(monkeypatch):
    monkeypatch.setenv("RETRAIN_FACESERVE_TOKEN", "hunter2")
    monkeypatch.setenv("RETRAIN_MLOPS_DSN", "postgresql://mlops:hunter2@db/mlops")
    assert "hunter2" not in listed() and "hunter2" not in listed("--changed")


def test_only_what_differs_from_its_default_counts_as_changed(monkeypatch):
    assert listed("--changed") == "Every setting has its default.\n"
    monkeypatch.setenv("RETRAIN_EPOCHS", "7")
    monkeypatch.setenv("RETRAIN_PATIENCE", "5")
    assert re.findall(r"RETRAIN_\w+", listed("--changed")) == ["RETRAIN_EPOCHS"]


def test_the_table_of_the_readme_is_the_one_that_the_command_makes():
    marks = "<!-- settings: generated by python -m pipeline settings --markdown -->", "<!-- /settings -->"
    before, _, rest = (ROOT / "README.md").read_text().partition(marks[0])
    table, found, _ = rest.partition(marks[1])
    assert before and found, f"README.md lacks the lines {marks}"
    assert table.strip() == settings_as_markdown() == listed("--markdown").strip()


def test_a_program_that_starts_says_every_setting_that_is_wrong(monkeypatch):
    demand_settings()
    monkeypatch.setenv("RETRAIN_MONITOR_SCHEDULE", "0 0 31 2 *")
    monkeypatch.setenv("RETRAIN_EPOCHS", "none")
    with pytest.raises(GiveUp, match="RETRAIN_EPOCHS is 'none', but must be a whole number"):
        demand_settings()
    monkeypatch.delenv("RETRAIN_EPOCHS")
    with pytest.raises(GiveUp, match=r"RETRAIN_MONITOR_SCHEDULE is '0 0 31 2 \*', but must be a cron"):
        demand_settings()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("RETRAIN_EPOCH", "RETRAIN_EPOCH is no setting and does nothing: was RETRAIN_EPOCHS meant?"),
        ("retrain_epoch", "retrain_epoch is no setting and does nothing: was RETRAIN_EPOCHS meant?"),
        (
            "RETRAIN_SELDOM",
            "RETRAIN_SELDOM is no setting and does nothing: `python -m pipeline settings` lists them all",
        ),
    ],
)
def test_a_variable_that_is_no_setting_is_told_with_the_nearest_name(monkeypatch, caplog, name, sentence):
    monkeypatch.setenv(name, "7")
    demand_settings()
    assert caplog.messages == [sentence]
    assert CliRunner().invoke(main, ["settings"]).stderr.splitlines() == [sentence]


@pytest.mark.parametrize("name", [variable.name for variable in variables(Settings)])
def test_a_name_with_a_letter_missing_is_told_with_its_own(monkeypatch, caplog, name):
    monkeypatch.setenv(name[:-1], "7")
    demand_settings()
    assert f"was {name} meant?" in caplog.text


def test_a_dag_is_read_also_with_a_setting_that_is_refused(monkeypatch, caplog):
    monkeypatch.setenv("RETRAIN_MONITOR_SCHEDULE", "5 * * * *")
    assert monitor_schedule() == "5 * * * *"
    monkeypatch.setenv("RETRAIN_MONITOR_SCHEDULE", "hourly")
    assert monitor_schedule() == "*/15 * * * *"
    assert "RETRAIN_MONITOR_SCHEDULE is 'hourly'" in caplog.text
    assert str(cheap_hours()) == "02:00-06:00 Asia/Seoul"


@pytest.mark.parametrize(("begins", "cron"), [("00:00", "0 0 * * *"), ("23:05", "5 23 * * *"), ("24:00", "0 0 * * *")])
def test_the_night_in_which_the_dag_looks_is_the_one_of_the_policy(monkeypatch, begins, cron):
    monkeypatch.setenv("RETRAIN_CHEAP_FROM", begins)
    monkeypatch.setenv("RETRAIN_CHEAP_ZONE", "Europe/Berlin")
    assert (cheap_hours().cron, cheap_hours().zone) == (cron, "Europe/Berlin")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("RETRAIN_CHEAP_FROM", "2 am", "a time of day such as 02:00"),
        ("RETRAIN_CHEAP_ZONE", "Seoul", "a time zone such"),
    ],
)
def test_hours_that_no_clock_shows_and_zones_that_nobody_knows_are_refused(monkeypatch, name, value, allowed):
    monkeypatch.setenv(name, value)
    with pytest.raises(GiveUp, match=f"{name} is '{value}', but must be {allowed}"):
        demand_settings()


@pytest.mark.parametrize(
    ("named", "of_airflow", "actor", "refusal"),
    [
        ((), ("boss",), "kim", "kim is no administrator: ask boss (role admin in Airflow)"),
        ((), ("boss",), "boss", None),
        (("lee",), ("boss",), "boss", "boss is no administrator: ask lee (RETRAIN_ADMINISTRATORS)"),
        (("lee",), (), "lee", None),
        ((), (), "kim", "kim is no administrator, and nobody is: name somebody in RETRAIN_ADMINISTRATORS"),
        ((), None, "kim", None),
    ],
)
def test_where_the_settings_name_no_administrator_airflows_are(named, of_airflow, actor, refusal):
    assert administrators_only(named, of_airflow, actor) == refusal


@pytest.mark.parametrize(("named", "refused"), [((), False), (("lee", "kim"), False), (("lee",), True)])
def test_what_undoes_a_safeguard_is_for_administrators_where_any_are_named(named, refused):
    pipeline = Pipeline(Wiring(Settings(administrators=named)))
    if refused:
        with pytest.raises(GiveUp, match=r"kim is no administrator: ask lee \(RETRAIN_ADMINISTRATORS\)"):
            pipeline.demand_administrator("kim")
    else:
        pipeline.demand_administrator("kim")


@pytest.mark.parametrize(
    ("schedule", "minutes"),
    [
        ("* * * * *", 1),
        ("*/15 * * * *", 15),
        ("0 2 * * *", 24 * 60),
        ("*/30 8-17 * * 1-5", (2 * 24 + 14) * 60 + 30),
        ("* * * * 1-5", 2 * 24 * 60 + 1),
        ("0 0 29 2 *", 366 * 24 * 60),
    ],
)
def test_the_longest_time_between_two_looks_is_that_of_the_schedule(schedule, minutes):
    assert longest_gap_seconds(schedule) == minutes * 60
