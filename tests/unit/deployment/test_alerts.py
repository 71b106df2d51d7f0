"""Every alert fires, does not fire just below its bar, ends, and fires on no data; people find it in the runbook."""

import re
import subprocess

import pytest
import yaml

from include.stack import observing
from include.stack.layout import REPOSITORY, load_or_create
from pipeline.domain.facts import FAMILIES
from pipeline.domain.models import ModelType
from tests.unit.deployment.alert_cases import CASES, CHAMPION, FACE_CHAMPION, SERVES, STATE, trials_of
from tests.unit.deployment.alert_trials import (
    ALERTS,
    DAY,
    FOLDER,
    MINUTE,
    RULES,
    Case,
    ago,
    needed_by,
    others,
    promtool,
    steady,
    survivors,
    wrong,
)
from tests.unit.docs.references import anchor


def test_prometheus_accepts_the_rules():
    files = [str(path) for path in sorted(FOLDER.glob("rules/*.yaml"))]
    done = subprocess.run(["promtool", "check", "rules", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_cases():
    assert set(CASES) == set(ALERTS)


@pytest.mark.parametrize("alert", sorted(CASES))
def test_an_alert_fires_and_ends_when_it_should(tmp_path, alert):
    trials = trials_of(alert)
    named = {
        name for name in ("fires", "just below", "resolves", "data absent") for t in trials if t.name.startswith(name)
    }
    assert len(named) == 4
    failing, said = wrong(tmp_path, [*needed_by(alert), ALERTS[alert]], trials)
    assert not failing, said


@pytest.mark.parametrize("alert", sorted(CASES))
def test_another_bar_another_window_and_another_patience_are_noticed(tmp_path, alert):
    """Each number, each window of a recorded series and each duration, a little more and a little less."""
    assert survivors(tmp_path, alert, trials_of(alert)) == set()


def test_the_other_bars_are_those_of_the_rules():
    """Else nothing would be tried, and all be well."""
    tried = {alert: set(others(alert)) for alert in ALERTS}
    assert all(tried.values())
    # Eight numbers, two of how few requests say nothing; and five windows.
    assert len(tried["ErrorBudgetBurnsFast"]) == 2 * (8 + 2 + 5)


NEVER = {
    "NothingIsDecided": {"retraining_records_begun_timestamp_seconds": 26.5 * 3600},
    "MonitorSilent": {
        'retraining_last_promotion_timestamp_seconds{model="laundry"}': 3700,
        'retraining_monitor_interval_seconds{model="laundry"}': None,
    },
    "CorrectionsNotLearned": {
        "retraining_records_begun_timestamp_seconds": 5.1 * DAY,
        'retraining_corrections_pending{model="laundry"}': None,
        'retraining_corrections_needed{model="laundry",of="retraining"}': None,
        'retraining_training_interval_seconds{model="laundry"}': None,
    },
    "BackupOld": {'retraining_safeguard_expected_timestamp_seconds{kind="base"}': 26.5 * 3600},
    "BackupLogStandsStill": {'retraining_safeguard_expected_timestamp_seconds{kind="log"}': 910},
    "RestoreNotTried": {'retraining_safeguard_expected_timestamp_seconds{kind="restore_test"}': 8.1 * DAY},
}
_BESIDE = {
    'retraining_monitor_interval_seconds{model="laundry"}': 900,
    'retraining_corrections_pending{model="laundry"}': 100,
    'retraining_corrections_needed{model="laundry",of="retraining"}': 100,
    'retraining_training_interval_seconds{model="laundry"}': 3 * DAY,
}


@pytest.mark.parametrize("alert", sorted(NEVER))
def test_what_never_happened_is_late_once_it_could_have(tmp_path, alert):
    ages = {name: age for name, age in NEVER[alert].items() if age}
    beside = {name: steady(_BESIDE[name]) for name, age in NEVER[alert].items() if age is None}
    long, fresh = ({name: ago(age * share) for name, age in ages.items()} for share in (1, 0.9))
    failing, said = wrong(tmp_path, [ALERTS[alert]], Case(long, fresh, fresh, beside).trials(alert))
    assert not failing, said


def test_every_alert_about_what_has_to_happen_again_and_again_knows_that_it_may_never_have():
    """An age of what happened last has no series before the first time."""
    since = re.compile(r"time\(\) - \(?(retraining_\w+_timestamp_seconds)")
    begun = {"promotions_frozen", "canary", "step_failing", "last_promotion", "airflow_oldest_run"}
    asked = {alert: since.search(rule["expr"]) for alert, rule in ALERTS.items()}
    lasts = {
        alert for alert, found in asked.items() if found and not any(f"_{name}_timestamp" in found[1] for name in begun)
    }
    assert lasts == set(NEVER)


@pytest.mark.parametrize("model", [model.lower() for model in ModelType])
def test_a_model_that_one_replica_or_none_serves_is_told_whatever_the_other_model_does(tmp_path, model):
    (other,) = {"laundry", "face"} - {model}
    up = [f'up{{job="faceserve",instance="{one}"}}' for one in "ab"]
    serves = 'faceserve_active_version{{instance="{}",model="{}",version="v1.0.0"}}'
    beside = {**{name: steady(1) for name in up}, "retraining_replicas_expected": steady(2)}
    beside |= {serves.format(one, other): steady(1) for one in "ab"}
    beside |= {name: steady(1) for name in (*CHAMPION, *FACE_CHAMPION)}
    both = {serves.format(one, model): steady(1) for one in "ab"}
    one = {serves.format("a", model): steady(1), serves.format("b", model): steady(0)}
    none = {name: steady(0) for name in both}
    for alert, bad in (("ReplicaServesNothing", one), ("FewerReplicasServe", one), ("ModelUnavailable", none)):
        case = Case(bad, both, both, beside)
        failing, said = wrong(tmp_path, [*needed_by(alert), ALERTS[alert]], case.trials(alert))
        assert not failing, (alert, said)


def test_a_replica_whose_address_is_gone_is_missed(tmp_path):
    """A pod that is evicted or pending: nobody asks it, and it is not `up 0`."""
    gone = {'up{job="faceserve",instance="a"}': steady(1), SERVES % "v1.0.0": steady(1)}
    beside = {"retraining_replicas_expected": steady(2), **CHAMPION}
    back = {'faceserve_active_version{instance="b",model="laundry",version="v1.0.0"}': steady(1), **gone}
    case = Case(gone, back, gone, beside)
    trials = [trial for trial in case.trials("FewerReplicasServe") if trial.name in ("fires", "just below")]
    failing, said = wrong(tmp_path, [*needed_by("FewerReplicasServe"), ALERTS["FewerReplicasServe"]], trials)
    assert not failing, said


@pytest.mark.parametrize("alert", ["LiveAccuracyFailing", "LiveAccuracyLow"])
def test_an_unknown_accuracy_is_no_alarm(tmp_path, alert):
    unknown = {STATE % "unknown": steady(1), STATE % "low": steady(0), STATE % "failing": steady(0)}
    trials = Case(unknown, unknown, unknown, CHAMPION).trials(alert)
    failing, said = wrong(tmp_path, [ALERTS[alert]], [trial for trial in trials if trial.name == "just below"])
    assert not failing, said


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
    told = promtool(tmp_path, [rule], [trial], MINUTE)
    assert not told, told


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


def test_what_people_are_told_links_to_an_address_that_they_can_reach(tmp_path, monkeypatch):
    """By themselves both would name the container, or the pod, in which they run."""
    monkeypatch.setenv("PROMETHEUS_PUBLIC_URL", "https://watch.example.com/prometheus")
    stack = load_or_create(tmp_path, preferred=False)
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())["services"]
    in_cluster = [d for d in yaml.safe_load_all((REPOSITORY / "include/k8s/base/observing.yaml").read_text()) if d]
    for name in ("prometheus", "alertmanager"):
        (program,) = getattr(observing, name)(stack).programs
        (pod,) = [
            d["spec"]["template"]["spec"]["containers"][0]
            for d in in_cluster
            if d["kind"] in ("Deployment", "StatefulSet") and d["metadata"]["name"] == name
        ]
        variables = {one["name"]: one["value"] for one in pod["env"]}
        told = (list(program.command), compose[name]["command"], pod["args"])
        urls = [arg.partition("=")[2] for args in told for arg in args if arg.startswith("--web.external-url=")]
        assert len(urls) == len(told) and all("--web.route-prefix=/" in args for args in told)
        assert urls[1].startswith(f"${{{name.upper()}_PUBLIC_URL:-http://")
        assert urls[2] == "$(PUBLIC_URL)" and variables["PUBLIC_URL"].startswith("http://")
        port = stack.port("alertmanager")
        assert (
            urls[0]
            == {"prometheus": "https://watch.example.com/prometheus", "alertmanager": f"http://127.0.0.1:{port}"}[name]
        )
    assert compose["grafana"]["environment"]["GF_SERVER_ROOT_URL"].startswith("${GRAFANA_PUBLIC_URL:-http")


def test_the_runbook_names_no_alert_that_is_none():
    chapter = RUNBOOK.partition("\n# What an alert means\n")[2].partition("\n# ")[0]
    assert set(re.findall(r"^## (\w+)$", chapter, re.MULTILINE)) == set(ALERTS)


def test_rules_and_runbook_ask_for_facts_that_are_told():
    chapter = RUNBOOK.partition("\n# What an alert means\n")[2]
    asked = set(re.findall(r"\bretraining_([a-z_0-9]+)", " ".join(r["expr"] for r in RULES) + chapter))
    assert len(asked) > 15
    assert asked - set(FAMILIES) == set()


def test_nothing_that_the_runbook_says_no_alert_is_about_has_one():
    """The words in italics are those that an alert about it would say."""
    listed = RUNBOOK.partition("\nNo alert is about these")[2].partition("\n## ")[0]
    unwatched = re.findall(r"^\| [^|*]*\*([\w ]+)\*", listed, re.MULTILINE)
    told = {alert: f"{rule['annotations']['summary']} {_section(alert)}".lower() for alert, rule in ALERTS.items()}
    assert unwatched
    assert [(words, alert) for words in unwatched for alert in told if words in told[alert]] == []


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
