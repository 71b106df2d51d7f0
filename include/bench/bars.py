"""The figures that the product has to reach, where each is measured, and what limits it."""

from include.bench.bar import DEMO, Bar
from include.bench.serving.bars import SERVING

_TRAINING = (
    Bar(
        "training 600 images × 50 epochs, ResNet50/224: times faster than a plain fit",
        "speedup",
        "training_speedup_vs_plain_fit",
        "×",
        "the frozen network sees each image once: that pass is nearly all of it",
        at_least=30,
    ),
    Bar(
        "preparing 150 photos of 12 megapixels",
        "augmenting",
        "augment_seconds_150_photos",
        "s",
        "decoding JPEGs, at reduced scale",
        at_most=60,
    ),
    Bar(
        "whole run, from trigger to serving",
        DEMO,
        "retraining_seconds",
        "s",
        "training on two cores; then the starts of Airflow's tasks, one process each",
        at_most=90,
    ),
)
_FLOW = (
    Bar(
        "confirmations stored and acknowledged, each validated",
        "intake",
        "intake_events_per_second",
        "/s",
        "validation in Python, and the indexes of the table",
        at_least=10_000,
        earlier="scale.md#what-takes-how-long",
    ),
    Bar(
        "dashboard at 10 million confirmations",
        "overview",
        "dashboard_overview_seconds",
        "s",
        "tallies that are kept, not counted",
        at_most=0.3,
    ),
    Bar(
        "dashboard: first paint in Airflow's frame",
        "rollback",
        "dashboard_first_paint_seconds",
        "s",
        "files of this page alone; what it shows comes afterwards",
        at_most=1,
    ),
    Bar(
        "slowest question of a month of confirmations",
        "month",
        "slowest_question_seconds",
        "s",
        "–",
        earlier="scale.md#what-takes-how-long",
    ),
    Bar("runs of the intake at full load", "", "", "/day", "it stays up to half an hour a run", at_most=150),
    Bar(
        "restore to a second: what may be lost",
        "",
        "",
        "s",
        "how often a segment of the log is full, or a minute over",
        at_most=60,
    ),
)
_FACES = (
    Bar(
        "FACE: deployment with 100 000 enrolled",
        "enrolled",
        "deployment_seconds",
        "s",
        "listing the photos",
        at_most=10,
    ),
    Bar(
        "FACE: enrolled, until every replica knows",
        "enrolled",
        "enrolled_seconds",
        "s",
        "listing the photos",
        at_most=1,
    ),
    Bar("FACE: erased, until no replica knows", "enrolled", "erased_seconds", "s", "the look of the others", at_most=5),
    Bar("FACE: the nearest of 100 000, p99", "enrolled", "search_ms_p99", "ms", "memory's speed", at_most=10),
    Bar("FACE: answers of mixed spaces over 50 swaps", "enrolled", "answers_of_mixed_spaces", "", "–", at_most=0),
)
_EVERYDAY = (
    Bar("`make demo`", DEMO, "total_seconds", "s", "two trainings", at_most=240),
    Bar(
        "install, with a warm cache",
        "installing",
        "install_seconds_warm_cache",
        "s",
        "unpacking and compiling TensorFlow and Airflow",
        at_most=60,
    ),
    Bar(
        "second start of the stack",
        "starting",
        "stack_seconds_second_start",
        "s",
        "imports of Airflow and MLflow, on two cores",
        at_most=15,
    ),
    Bar("`make test`", "", "", "min", "a whole retraining, real services for most tests", at_most=10),
    Bar("memory of the stack, no model yet", "starting", "stack_memory_mb", "MB", "Airflow's processes", at_most=2500),
    Bar("memory of the stack after a demo", DEMO, "stack_memory_mb", "MB", "Airflow's processes", at_most=2500),
    Bar("slowest DAG file to read", "dags", "dag_seconds_max", "s", "imports of Airflow's operators"),
)
BARS = (*_TRAINING, *SERVING, *_FLOW, *_FACES, *_EVERYDAY)
