"""The boards of Grafana ask for what there is, and say what to do; tried without Grafana, which no package here has."""

import re
import subprocess

import pytest
import yaml
from prometheus_client import generate_latest

from faceserve.metrics import Metrics
from include.demo.boards import BOARDS, queries
from include.stack.layout import REPOSITORY
from pipeline.domain.facts import FAMILIES

QUERIES = list(queries())
# Of other programs; what RabbitMQ has is asked of a real one in tests/integration/test_exporter.py.
OF_OTHERS = {"rabbitmq_detailed_queue_messages_ready"}
WIDTH = 24


@pytest.fixture(scope="module")
def exposed():
    """Every name that the replicas, the exporter and the recording rules have."""
    metrics = Metrics(("laundry",))
    with metrics.request("laundry") as seen:
        seen.version, seen.inference_seconds = "v1.0.0", 0.01
    metrics.swaps.labels("laundry", "activated").inc()
    metrics.swap_seconds.labels("laundry").observe(1e-6)
    metrics.serves("laundry", "v1.0.0", instead_of=None)
    lines = generate_latest(metrics.registry).decode().splitlines()
    served = {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")}
    # Only where there is a GPU.
    served |= {"faceserve_gpu_utilization", "faceserve_gpu_memory_used_bytes"}
    rules = [yaml.safe_load(p.read_text()) for p in (REPOSITORY / "include/prometheus/rules").glob("*.yaml")]
    recorded = {
        rule["record"] for file in rules for group in file["groups"] for rule in group["rules"] if "record" in rule
    }
    return served | recorded | {f"retraining_{name}" for name in FAMILIES}


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.board}: {query.place}")
def test_every_query_names_metrics_that_exist(exposed, query):
    assert query.names
    assert query.names - exposed - OF_OTHERS == set()


def test_prometheus_can_read_every_query(tmp_path):
    rules = [{"record": f"query:{number}", "expr": query.filled} for number, query in enumerate(QUERIES)]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_query_that_prometheus_cannot_read_is_noticed(tmp_path):
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "q", "rules": [{"record": "q:1", "expr": "sum by (model"}]}]}))
    assert subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("name", BOARDS)
def test_panels_do_not_overlap_and_fit_the_page(name):
    taken = set()
    for panel in BOARDS[name]["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in BOARDS[name]["panels"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_has_a_title_a_unit_and_a_sentence_that_says_what_to_do(name):
    for panel in BOARDS[name]["panels"]:
        assert panel["title"] and panel["fieldConfig"]["defaults"]["unit"]
        assert len(panel["description"].split()) >= 6 and panel["description"].endswith("."), panel["title"]


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_of_no_one_installation_and_of_no_one_version(name):
    board = BOARDS[name]
    sources = {str(panel["datasource"]) for panel in board["panels"]} | {
        str(variable["datasource"]) for variable in board["templating"]["list"] if "datasource" in variable
    }
    assert sources == {str({"type": "prometheus", "uid": "${datasource}"})}
    assert not [query.expr for query in QUERIES if re.search(r'version="|v\d+\.\d+', query.expr)]


@pytest.mark.parametrize("name", BOARDS)
def test_deployments_and_rollbacks_are_drawn_on_every_board(name):
    drawn = " ".join(annotation["expr"] for annotation in BOARDS[name]["annotations"]["list"])
    assert all(kind in drawn for kind in ("promote", "forced", "canary_promote", "rollback_auto", "rollback_manual"))


def test_the_bars_of_live_accuracy_are_those_of_the_policy():
    from pipeline.domain.live_accuracy import LiveAccuracyPolicy

    (panel,) = [p for p in BOARDS["models"]["panels"] if p["title"] == "Live accuracy"]
    bars = [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
    assert bars == [None, LiveAccuracyPolicy().rollback_accuracy, LiveAccuracyPolicy().alert_accuracy]


@pytest.mark.parametrize(("title", "which"), [("Wrongly refused at doors", 0), ("Wrongly let in at doors", 1)])
def test_the_bars_of_the_face_rates_are_those_of_the_policy(title, which):
    from pipeline.domain.faces.watching import FaceWatchPolicy, Which

    (panel,) = [p for p in BOARDS["models"]["panels"] if p["title"] == title]
    bars = FaceWatchPolicy().bars(list(Which)[which])
    drawn = [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
    assert drawn == [None, bars.alert, bars.most]
    assert f"Above {bars.alert:.0%}".replace("%", " %") in panel["description"]


def test_alerts_that_panels_name_exist():
    rules = " ".join(p.read_text() for p in (REPOSITORY / "include/prometheus/rules").glob("*.yaml"))
    alerts = set(re.findall(r"alert: (\w+)", rules))
    said = " ".join(panel["description"] for board in BOARDS.values() for panel in board["panels"])
    named = set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", said))
    assert len(named) > 10
    assert named - alerts == set()


def test_grafana_is_given_the_boards_and_their_source():
    folder = REPOSITORY / "include/grafana/provisioning"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards/files.yaml").read_text())["providers"]
    compose = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())["services"]
    assert source["url"] == "http://prometheus:9090" and "prometheus" in compose
    assert f"./include/grafana/dashboards:{provider['options']['path']}:ro" in compose["grafana"]["volumes"]
