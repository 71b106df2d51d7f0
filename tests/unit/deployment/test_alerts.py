"""Every alert fires, does not fire just below its bar, ends, and fires on no data; people find it in the runbook."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from include.stack import observing
from include.stack.layout import REPOSITORY, load_or_create
from pipeline.domain.facts import FAMILIES
from tests.unit.docs.references import anchor

FOLDER = REPOSITORY / "include/prometheus"
RULES = [
    rule
    for path in sorted(FOLDER.glob("rules/*.yaml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
MINUTE, HOUR, DAY = 1, 60, 24 * 60


@dataclass(frozen=True)
class Case:
    """`bad` and `good` are values of each series, a minute apart; `edge` is the last that does not fire.

    A value that ends with `x` is a rise a minute, of a counter. `after` minutes of `bad` the alert fires; `beside` are
    series that stay as they are.
    """

    after: int
    bad: Mapping[str, str]
    edge: Mapping[str, str]
    good: Mapping[str, str]
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """Minutes between two values: what takes days is looked at a hundred times, too."""
        return max(1, self.after // 100)

    def phases(self) -> dict[str, list[Mapping[str, str]]]:
        return {"fires": [self.bad], "just below": [self.edge], "resolves": [self.bad, self.good]}


def of(series: str, bad: object, edge: object, good: object, **more: Any) -> Case:
    """One series."""
    return Case(
        more.get("after", MINUTE),
        {series: str(bad)},
        {series: str(edge)},
        {series: str(good)},
        more.get("beside", {}),
    )


def since(series: str, *, age: int, **more: Any) -> Case:
    """A moment in the past: it fires once that is more than `age` minutes ago, and ends with a new one."""
    fresh = str((age + 2 * DAY) * 60)
    return Case(age + 2 * HOUR, {series: "0"}, {series: str(3 * HOUR * 60)}, {series: fresh}, more.get("beside", {}))


def burning(failing: str, answered: str, *, fast: bool, budget: float) -> Case:
    """100 requests a minute, so many of them over the bar that the pair of windows watches."""
    bar = budget * (6 if fast else 1)
    lines = {share: {failing: f"{share * 100}x", answered: f"{(1 - share) * 100}x"} for share in (bar * 20, bar / 2, 0)}
    bad, edge, good = lines.values()
    return Case(7 * HOUR if fast else 3 * DAY, bad, edge, good)


def slow(*, fast: bool) -> Case:
    """The same of answers that take longer than 200 ms; `le` counts those that do not."""
    bar = 0.01 * (6 if fast else 1)
    count, quick = (f'faceserve_request_duration_seconds_{name}{{model="laundry"' for name in ("count", "bucket"))
    answered = 'faceserve_requests_total{model="laundry",code="OK",side="stable"}'
    lines = [
        {count + "}": "100x", quick + ',le="0.2"}': f"{(1 - share) * 100}x", answered: "100x"}
        for share in (min(1.0, bar * 10), bar / 2, 0)
    ]
    return Case(7 * HOUR if fast else 3 * DAY, *lines)


FAILED = 'faceserve_requests_total{model="laundry",code="INTERNAL",side="stable"}'
ANSWERED = 'faceserve_requests_total{model="laundry",code="OK",side="stable"}'
CHAMPION = {'retraining_champion_info{model="laundry",version="v1.0.0"}': "1"}
UP, SERVES = 'up{job="faceserve",instance="a"}', 'faceserve_active_version{instance="a",model="laundry",version="%s"}'
STATE = 'retraining_live_accuracy_state{model="laundry",version="v1.0.0",state="%s"}'
FACES = 'retraining_face_rates_state{model="face",version="v1.0.0",state="%s"}'
FACE_CHAMPION = {'retraining_champion_info{model="face",version="v1.0.0"}': "1"}
BLIND = 'retraining_live_accuracy_high_ratio{model="laundry",version="v1.0.0",kind="blind"}'
OBSERVED = 'retraining_live_accuracy_ratio{model="laundry",version="v1.0.0",kind="observed"}'
NEEDED = {
    'retraining_corrections_needed{model="laundry",of="retraining"}': "100",
    'retraining_last_training_timestamp_seconds{model="laundry"}': "0",
    'retraining_training_interval_seconds{model="laundry"}': str(3 * 86400),
}
_TASKS_READY = 'rabbitmq_detailed_queue_messages_ready{vhost="airflow",queue="gpu"}'
_WORKERS = 'rabbitmq_detailed_queue_consumers{vhost="airflow",queue="gpu"}'
CASES = {
    "ErrorBudgetBurnsFast": burning(FAILED, ANSWERED, fast=True, budget=0.001),
    "ErrorBudgetBurns": burning(FAILED, ANSWERED, fast=False, budget=0.001),
    "LatencyBudgetBurnsFast": slow(fast=True),
    "LatencyBudgetBurns": slow(fast=False),
    "NoReplicaServes": of(UP, 0, 1, 1, after=2),
    "ReplicaDown": of(UP, 0, 1, 1, after=3, beside={'up{job="faceserve",instance="b"}': "1"}),
    "ReplicaServesNothing": of(SERVES % "v1.0.0", 0, 1, 1, after=6, beside={UP: "1", **CHAMPION}),
    "ReplicasDisagree": Case(
        3,
        {SERVES % "v1.0.0": "0", SERVES % "v0.9.0": "1"},
        {SERVES % "v1.0.0": "1", SERVES % "v0.9.0": "0"},
        {SERVES % "v1.0.0": "1", SERVES % "v0.9.0": "0"},
        CHAMPION,
    ),
    "LiveAccuracyFailing": of(STATE % "failing", 1, 0, 0, after=2, beside={STATE % "low": "1", **CHAMPION}),
    "LiveAccuracyLow": of(STATE % "low", 1, 0, 0, after=6, beside={STATE % "unknown": "1", **CHAMPION}),
    "FaceRatesFailing": of(FACES % "failing", 1, 0, 0, after=2, beside={FACES % "warn": "1", **FACE_CHAMPION}),
    "FaceRatesHigh": of(FACES % "warn", 1, 0, 0, after=6, beside={FACES % "unknown": "1", **FACE_CHAMPION}),
    "BlindSampleIsWorse": of(BLIND, 0.84, 0.86, 0.9, after=61, beside={OBSERVED: "0.9"}),
    "GateAndLifeDisagree": of(
        'retraining_gate_vs_live_gap_ratio{model="laundry",version="v1.0.0"}',
        0.06,
        0.05,
        0.01,
        after=61,
        beside=CHAMPION,
    ),
    "RollbackFailed": of('retraining_rollback_failed{model="laundry"}', 1, 0, 0),
    "DeploymentIncomplete": of('retraining_deployment_incomplete{model="laundry"}', 1, 0, 0, after=16),
    "PromotionsFrozen": since('retraining_promotions_frozen_timestamp_seconds{model="laundry"}', age=DAY),
    "CanaryUndecided": since('retraining_canary_timestamp_seconds{model="laundry",version="v1.1.0"}', age=3 * DAY),
    "CandidatesRefused": of('retraining_refusals_in_a_row{model="laundry"}', 2, 1, 0),
    "NothingIsDecided": since('retraining_last_decision_timestamp_seconds{model="laundry"}', age=26 * HOUR),
    "CorrectionsNotLearned": of(
        'retraining_corrections_pending{model="laundry"}', 100, 99, 0, after=5 * DAY + 2 * HOUR, beside=NEEDED
    ),
    "ModelStale": of(
        'retraining_last_promotion_timestamp_seconds{model="laundry"}',
        0,
        3 * HOUR * 60,
        150 * 86400,
        after=90 * DAY + 2 * HOUR,
        beside={'retraining_corrections_pending{model="laundry"}': "1"},
    ),
    "MonitorSilent": since(
        'retraining_live_accuracy_looked_timestamp_seconds{model="laundry"}',
        age=6 * HOUR,
        beside={'retraining_monitor_interval_seconds{model="laundry"}': str(5 * 3600 + 900)},
    ),
    "DagPaused": of('retraining_dag_paused{dag_id="task_confirmed_intake"}', 1, 0, 0, after=11),
    "StepFailing": since('retraining_step_failing_timestamp_seconds{dag_id="model_rollback",step="x"}', age=30),
    "DeadLetters": of("retraining_dead_letters", 1, 0, 0, after=6),
    "ConfirmationsWait": of(
        'rabbitmq_detailed_queue_messages_ready{queue="mlops.task-confirmed"}', 1001, 1000, 0, after=16
    ),
    "TasksWaitForWorkers": Case(
        11,
        bad={_TASKS_READY: "1", _WORKERS: "0"},
        edge={_TASKS_READY: "1", _WORKERS: "1"},
        good={_TASKS_READY: "0", _WORKERS: "0"},
    ),
    "OutboxOld": of('retraining_outbox_oldest_seconds{database="mlops"}', 301, 300, 0, after=2),
    "NoticesOld": of('retraining_notices_oldest_seconds{database="mlops"}', 3601, 3600, 0, after=6),
    "BackupOld": since('retraining_safeguard_timestamp_seconds{kind="base"}', age=26 * HOUR),
    "BackupLogStandsStill": since('retraining_safeguard_timestamp_seconds{kind="log"}', age=15),
    "RestoreNotTried": since('retraining_safeguard_timestamp_seconds{kind="restore_test"}', age=8 * DAY),
    "AirflowIll": of('retraining_airflow_healthy{component="scheduler"}', 0, 1, 1, after=6),
    "SourceAway": of('retraining_exporter_up{source="database"}', 0, 1, 1, after=6),
    "ExporterAway": of('up{job="exporter"}', 0, 1, 1, after=6),
    "TargetDown": of('up{job="rabbitmq",instance="a"}', 0, 1, 1, after=6),
}
# What tells that there is no data is an alert of its own.
FIRES_WITHOUT_DATA = {"ExporterAway", "NoReplicaServes"}


def _input(
    phases: Sequence[Mapping[str, str]], steps: int, step: int, beside: Mapping[str, str]
) -> list[dict[str, str]]:
    """Each phase lasts so many steps of so many minutes, and a counter goes on rising where it was."""
    told: dict[str, str] = {}
    for name in phases[0]:
        parts, level = [], 0.0
        for phase in phases:
            value = phase[name]
            rise = float(value[:-1]) * step if value.endswith("x") else None
            parts.append(f"{value}+0x{steps}" if rise is None else f"{level}+{rise}x{steps}")
            level += (rise or 0) * steps
        told[name] = " ".join(parts)
    told |= {name: f"{value}+0x{(steps + 1) * len(phases)}" for name, value in beside.items()}
    return [{"series": name, "values": values} for name, values in told.items()]


def _trial(alert: str, at: int, fires: bool, series: list[dict[str, str]], step: int = 1) -> dict[str, Any]:
    expr = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)'
    asked = {"expr": expr, "eval_time": f"{at}m", "exp_samples": [{"labels": "{}", "value": int(fires)}]}
    return {"interval": f"{step}m", "input_series": series, "promql_expr_test": [asked]}


def _trials(alert: str, case: Case) -> dict[str, dict[str, Any]]:
    step = case.step
    steps = -(-case.after // step)
    trials = {}
    for name, phases in case.phases().items():
        series = _input(phases, steps + 10, step, case.beside)
        at = steps if len(phases) == 1 else 2 * (steps + 10)
        trials[name] = _trial(alert, at * step, name == "fires", series, step)
    trials["data absent"] = _trial(alert, steps * step, alert in FIRES_WITHOUT_DATA, [], step)
    return trials


def _rules_for(alert: str) -> list[dict[str, Any]]:
    """The alert, after the recorded series that it asks for: days of all rules together would take minutes."""
    needed, asked = [ALERTS[alert]], ALERTS[alert]["expr"]
    recorded = [rule for rule in RULES if rule.get("record", "?") in asked]
    return [*recorded, *needed]


def promtool(tmp_path, alert, trials, *, step=1, rules=None):
    """Whether every trial came out as expected, and what was said."""
    rules_file, path = tmp_path / "rules.yaml", tmp_path / "trials.yaml"
    rules_file.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": rules or _rules_for(alert)}]}))
    trial = {"rule_files": [str(rules_file)], "evaluation_interval": f"{step}m", "tests": trials}
    path.write_text(yaml.safe_dump(trial))
    done = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_the_rules():
    files = [str(path) for path in sorted(FOLDER.glob("rules/*.yaml"))]
    done = subprocess.run(["promtool", "check", "rules", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_cases():
    assert set(CASES) == set(ALERTS)


@pytest.mark.parametrize("alert", sorted(CASES))
def test_an_alert_fires_and_ends_when_it_should(tmp_path, alert):
    trials = _trials(alert, CASES[alert])
    assert list(trials) == ["fires", "just below", "resolves", "data absent"]
    passed, said = promtool(tmp_path, alert, list(trials.values()), step=CASES[alert].step)
    assert passed, said


def test_a_rule_with_another_bar_is_noticed(tmp_path):
    rule = ALERTS["CandidatesRefused"]
    trials = _trials("CandidatesRefused", CASES["CandidatesRefused"]).values()
    changed = {**rule, "expr": rule["expr"].replace(">= 2", "> 2")}
    passed, said = promtool(tmp_path, "CandidatesRefused", list(trials), rules=[changed])
    assert not passed and "FAILED" in said


def test_few_requests_are_no_burnt_budget(tmp_path):
    """One request in two hours fails: half of all, and nothing that anybody has to get up for."""
    series = [
        {"series": FAILED, "values": "0+0x60 1+0x60 1+0x420"},
        {"series": ANSWERED, "values": "0+0x120 1+0x420"},
    ]
    trials = [_trial("ErrorBudgetBurnsFast", at, False, series) for at in (65, 90, 130)]
    passed, said = promtool(tmp_path, "ErrorBudgetBurnsFast", trials)
    assert passed, said


@pytest.mark.parametrize("alert", ["LiveAccuracyFailing", "LiveAccuracyLow"])
def test_an_unknown_accuracy_is_no_alarm(tmp_path, alert):
    series = _input([{STATE % "unknown": "1", STATE % "low": "0", STATE % "failing": "0"}], 100, 1, CHAMPION)
    passed, said = promtool(tmp_path, alert, [_trial(alert, 90, False, series)])
    assert passed, said


# For people


RUNBOOK = (REPOSITORY / "include/runbook.md").read_text()
PARTS = ("means", "look at", "do", "over when")


def _section(alert: str) -> str:
    return RUNBOOK.partition(f"\n## {alert}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_whoever_is_woken_finds_what_to_do(alert):
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["runbook_url"] == f"{{{{ $externalLabels.runbook }}}}#{anchor(alert)}"
    assert all(len(rule["annotations"][name].split()) >= 3 for name in ("summary", "description"))
    assert re.findall(r"^- ([a-z ]+): \S", _section(alert), re.MULTILINE) == list(PARTS)


def test_an_installation_says_where_its_runbook_is(tmp_path):
    pages, rule = "https://wiki.example.com/runbook", ALERTS["RollbackFailed"]
    said = {name: rule["annotations"][name] for name in ("summary", "description")}
    labels = {"model": "laundry", "severity": "page"}
    expected = {
        "exp_labels": labels,
        "exp_annotations": {
            **{name: text.replace("{{ $labels.model }}", "laundry") for name, text in said.items()},
            "runbook_url": f"{pages}#rollbackfailed",
        },
    }
    trial = {
        "interval": "1m",
        "external_labels": {"runbook": pages},
        "input_series": [{"series": 'retraining_rollback_failed{model="laundry"}', "values": "1x5"}],
        "alert_rule_test": [{"eval_time": "2m", "alertname": "RollbackFailed", "exp_alerts": [expected]}],
    }
    passed, told = promtool(tmp_path, "RollbackFailed", [trial])
    assert passed, told


def test_every_prometheus_is_told_where_the_runbook_is_and_labels_no_alert_with_it(tmp_path):
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())["services"]["prometheus"]
    assert compose["environment"]["RUNBOOK_URL"] == "${RUNBOOK_URL:-include/runbook.md}"
    local = observing.configuration(load_or_create(tmp_path, preferred=False))
    assert local["global"]["external_labels"] == {"runbook": "include/runbook.md"}
    in_cluster = [d for d in yaml.safe_load_all((REPOSITORY / "include/k8s/base/observing.yaml").read_text()) if d]
    (text,) = [d["data"]["prometheus.yaml"] for d in in_cluster if "prometheus.yaml" in d.get("data", {})]
    for read in (local, yaml.safe_load(text), yaml.safe_load((FOLDER / "prometheus.yaml").read_text())):
        assert set(read["global"]["external_labels"]) == {"runbook"}
        assert {"action": "labeldrop", "regex": "runbook"} in read["alerting"]["alert_relabel_configs"]


def test_the_runbook_names_no_alert_that_is_none():
    chapter = RUNBOOK.partition("\n# What an alert means\n")[2].partition("\n# ")[0]
    assert set(re.findall(r"^## (\w+)$", chapter, re.MULTILINE)) == set(ALERTS)


def test_rules_and_runbook_ask_for_facts_that_are_told():
    chapter = RUNBOOK.partition("\n# What an alert means\n")[2]
    asked = set(re.findall(r"\bretraining_([a-z_0-9]+)", " ".join(r["expr"] for r in RULES) + chapter))
    assert len(asked) > 15
    assert asked - set(FAMILIES) == set()


# Who is told


@pytest.mark.parametrize("severity", ["page", "ticket"])
def test_an_alert_goes_to_whom_it_is_for(severity):
    command = ["amtool", "config", "routes", "test", f"--config.file={FOLDER / 'alertmanager.yaml'}"]
    done = subprocess.run([*command, f"severity={severity}"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [severity]


def test_the_silence_of_a_replica_out_of_rotation_names_every_page_about_one_replica():
    silenced = re.search(r"""silence add 'alertname=~"([^"]+)"'""", RUNBOOK)
    of_one = {name for name, rule in ALERTS.items() if "$labels.instance" in rule["annotations"]["summary"]}
    pages = {name for name in of_one if ALERTS[name]["labels"]["severity"] == "page"}
    assert silenced and set(silenced[1].split("|")) == pages


def test_what_is_inhibited_exists():
    read = yaml.safe_load((FOLDER / "alertmanager.yaml").read_text())
    assert subprocess.run(["amtool", "check-config", str(FOLDER / "alertmanager.yaml")], check=False).returncode == 0
    for inhibit in read["inhibit_rules"]:
        for matcher in (*inhibit["source_matchers"], *inhibit["target_matchers"]):
            name, _, pattern = re.match(r"(\w+) (=~|=) (.+)", matcher).groups()
            if name == "alertname":
                found = [alert for alert in ALERTS if re.fullmatch(pattern.strip('"'), alert)]
                assert len(found) >= len(pattern.split("|")), matcher
