"""`python -m pipeline settings`, and the table of the README that is made by it."""

import json
from collections.abc import Iterable
from enum import Enum
from typing import Any

from pydantic import SecretStr

from pipeline.bootstrap.settings_at_start import Ask, asked, nobody
from pipeline.settings import Settings
from pipeline.settings.elsewhere import Elsewhere
from pipeline.settings.variables import Variable, variables

# What people set or ask about most; the others are listed by the command alone.
_IN_README = (
    "RETRAIN_FACESERVE_REPLICAS",
    "RETRAIN_FACESERVE_OUT_OF_ROTATION",
    "RETRAIN_FACESERVE_TOKEN",
    "RETRAIN_EXECUTOR",
    "RETRAIN_SLICES_AT_ONCE",
    "RETRAIN_INTAKE_ENOUGH_MESSAGES",
    "RETRAIN_INTAKE_LONGEST_WAIT_SECONDS",
    "RETRAIN_MIN_CORRECTIONS",
    "RETRAIN_URGENT_CORRECTIONS",
    "RETRAIN_URGENT_PAUSE_HOURS",
    "RETRAIN_MIN_DAYS_BETWEEN_TRAININGS",
    "RETRAIN_RETRY_HOURS",
    "RETRAIN_CHEAP_FROM",
    "RETRAIN_CHEAP_UNTIL",
    "RETRAIN_REPLAY_PER_CORRECTION",
    "RETRAIN_EARLIER_LIMIT",
    "RETRAIN_MIN_CLASS_SUPPORT",
    "RETRAIN_MAX_UNUSABLE_SHARE",
    "RETRAIN_BACKBONE",
    "RETRAIN_EPOCHS",
    "RETRAIN_LABEL_SMOOTHING",
    "RETRAIN_BALANCE_CLASSES",
    "RETRAIN_FINE_TUNE_EPOCHS",
    "RETRAIN_TRAINING_RUNTIME",
    "RETRAIN_TRAINING_IMAGE",
    "RETRAIN_WEIGHTS_URI",
    "RETRAIN_TRAINING_POD_GPUS",
    "RETRAIN_TRAINING_POD_CPUS",
    "RETRAIN_TRAINING_POD_MEMORY_GB",
    "RETRAIN_TRAINING_POD_NODES",
    "RETRAIN_MIN_VALIDATION_ACCURACY",
    "RETRAIN_MIN_HOLDOUT_ACCURACY",
    "RETRAIN_MIN_CLASS_ACCURACY",
    "RETRAIN_MAX_MEAN_LATENCY_MS",
    "RETRAIN_MIN_THROUGHPUT_PER_SECOND",
    "RETRAIN_INCONCLUSIVE",
    "RETRAIN_MAX_GAIN",
    "RETRAIN_MAX_SLICE_FALL",
    "RETRAIN_SLICE_LIMITS",
    "RETRAIN_LIVE_WINDOW_HOURS",
    "RETRAIN_LIVE_MIN_CONFIRMATIONS",
    "RETRAIN_LIVE_MATURED_MINUTES",
    "RETRAIN_LIVE_ALERT_ACCURACY",
    "RETRAIN_LIVE_ROLLBACK_ACCURACY",
    "RETRAIN_FACE_LIVE_MIN_PEOPLE",
    "RETRAIN_FACE_LIVE_MAX_REFUSED",
    "RETRAIN_FACE_LIVE_MAX_ACCEPTED",
    "RETRAIN_MONITOR_SCHEDULE",
    "RETRAIN_CANARY_PERCENT",
    "RETRAIN_CANARY_MIN_CONFIRMATIONS",
    "RETRAIN_CANARY_MARGIN",
    "RETRAIN_CANARY_DEADLINE_HOURS",
    "RETRAIN_KEEP_VERSIONS",
    "RETRAIN_ARCHIVE_URI",
    "RETRAIN_KEEP_DATASETS",
    "RETRAIN_KEEP_REFUSED_DAYS",
)


def settings_as_text(ask: Ask = nobody, *, changed_only: bool = False) -> str:
    """Every setting under its section: value, where it comes from, default, what is allowed, meaning."""
    elsewhere = asked(ask)
    settings = Settings(elsewhere)
    chosen = [v for v in variables(Settings) if not changed_only or v.value_in(settings) != v.default]
    if not chosen:
        return "Every setting has its default."
    lines = []
    for section, members in _by_section(chosen):
        lines += ["", section]
        for variable in members:
            value, default = _shown(variable.value_in(settings)), _shown(variable.default)
            source = _place(variable, elsewhere)
            source = f"from {source}; default {default}" if source else "default"
            lines += [f"  {variable.name} = {value}  ({source}; {variable.allowed})", f"      {variable.meaning}"]
    return "\n".join(lines[1:])


def _place(variable: Variable, elsewhere: Elsewhere) -> str | None:
    if variable.raw is not None:
        return "the environment"
    return elsewhere[variable.name].place if variable.name in elsewhere else None


def settings_as_markdown() -> str:
    """The README's table: the settings used most."""
    lines = ["| variable | default | allowed | meaning |", "|---|---|---|---|"]
    for section, members in _by_section(v for v in variables(Settings) if v.name in _IN_README):
        lines.append(f"| **{section}** | | | |")
        lines += [f"| `{v.name}` | {_cell(v)} | {v.allowed} | {v.meaning} |" for v in members]
    lines += ["", f"All {len(variables(Settings))} settings: `python -m pipeline settings`."]
    return "\n".join(lines)


def _by_section(chosen: Iterable[Variable]) -> Iterable[tuple[str, list[Variable]]]:
    found: dict[str, list[Variable]] = {}
    for variable in chosen:
        found.setdefault(variable.section, []).append(variable)
    return found.items()


def _cell(variable: Variable) -> str:
    shown = _shown(variable.default)
    return f"`{shown}`" if shown else "–"


def _shown(value: Any) -> str:
    """The value as it would be written in the environment; secrets are masked."""
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return str(value)
    if isinstance(value, bool | tuple):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:.12g}" if isinstance(value, float) else str(value.value if isinstance(value, Enum) else value)
