"""What promtool is told to prove that an alert fires, and to prove that a test would notice another bar.

A life is what each series was, by seconds; a trial asks whether an alert fires at a second of it.
"""

import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from include.stack.layout import REPOSITORY

FOLDER = REPOSITORY / "include/prometheus"
RULES = [
    rule
    for path in sorted(FOLDER.glob("rules/*.yaml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
MINUTE, HOUR, DAY = 60, 3600, 86400
# What tells that there is no data is an alert of its own.
FIRES_WITHOUT_DATA = {"ExporterAway", "NoReplicaServes"}
_LENGTHS = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY}

Value = Callable[[float], float]
"""Of a series at a second."""


def seconds(text: str) -> float:
    """Of a duration such as `90s` or `1d`."""
    return float(text[:-1]) * _LENGTHS[text[-1]]


def steady(value: float) -> Value:
    return lambda at: value


def ago(age: float) -> Value:
    """A moment that always was so many seconds ago."""
    return lambda at: at - age


def _first_one_then(one: Value, other: Value, until: float) -> Value:
    return lambda at: one(at) if at < until else other(at)


@dataclass(frozen=True)
class Trial:
    """Values of every series each `step` seconds, up to `at`, and whether the alert fires then."""

    name: str
    series: Mapping[str, Sequence[float]]
    step: float
    at: float
    fires: bool
    every: float
    """Seconds between two looks of Prometheus at its rules."""


@dataclass(frozen=True)
class Case:
    """`bad` are series that make the alert fire, `edge` those that just do not, `good` those that end it.

    `beside` are series that stay as they are. A duration of the rule (`for`) is waited for.
    """

    bad: Mapping[str, Value]
    edge: Mapping[str, Value]
    good: Mapping[str, Value]
    beside: Mapping[str, Value] = field(default_factory=dict)

    def trials(self, alert: str) -> list[Trial]:
        waits = seconds(ALERTS[alert].get("for", "0s"))
        step = max(15.0, waits / 20)
        fired, ended = waits * 1.2 + step, 2 * (waits * 1.2 + step)
        lives = {
            "fires": (self.bad, fired, True),
            "just below": (self.edge, fired, False),
            "resolves": ({n: _first_one_then(v, self.good[n], fired) for n, v in self.bad.items()}, ended, False),
            "data absent": ({}, fired, alert in FIRES_WITHOUT_DATA),
        }
        if waits:
            lives["too early"] = (self.bad, waits * 0.8, False)
        return [self._trial(name, step, *life) for name, life in lives.items()]

    def _trial(self, name: str, step: float, series: Mapping[str, Value], at: float, fires: bool) -> Trial:
        every = {**series, **(self.beside if series else {})}
        times = [number * step for number in range(int(at / step) + 2)]
        return Trial(name, {one: [value(t) for t in times] for one, value in every.items()}, step, at, fires, step)


def _as_promtool_reads(trial: Trial, alerts: Sequence[str]) -> dict[str, Any]:
    asked = [
        {
            "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) > bool 0 or vector(0)',
            "eval_time": f"{trial.at:g}s" if trial.at % 1 == 0 else f"{trial.at * 1000:.0f}ms",
            "exp_samples": [{"labels": "{}", "value": int(trial.fires)}],
        }
        for alert in alerts
    ]
    told = [{"series": name, "values": " ".join(f"{v:.10g}" for v in of)} for name, of in trial.series.items()]
    return {"interval": f"{trial.step * 1000:.0f}ms", "input_series": told, "promql_expr_test": asked}


def promtool(folder: Any, rules: Sequence[Mapping[str, Any]], trials: Sequence[Mapping[str, Any]], every: float) -> str:
    """What it says of rules that are looked at `every` so many seconds; empty when all came out as expected."""
    rules_file, path = folder / "rules.yaml", folder / "trials.yaml"
    rules_file.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": list(rules)}]}))
    told = {
        "rule_files": [str(rules_file)],
        "evaluation_interval": f"{every * 1000:.0f}ms",
        "tests": list(trials),
    }
    path.write_text(yaml.dump(told, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
    done = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def wrong(folder: Any, rules: Sequence[Mapping[str, Any]], trials: Sequence[Trial]) -> tuple[set[str], str]:
    """Alerts among the rules that do not do what the trials say, and promtool's words."""
    alerts = [rule["alert"] for rule in rules if "alert" in rule]
    found, said = set(), ""
    # Those that are looked at equally often, at once.
    for every in sorted({trial.every for trial in trials}):
        chosen = [_as_promtool_reads(trial, alerts) for trial in trials if trial.every == every]
        words = promtool(folder, rules, chosen, every)
        found |= set(re.findall(r'alertname=\\?"(\w+)\\?"', words))
        said += words
        assert bool(words) == bool(re.search(r'alertname=\\?"\w+\\?"', words)), words
    return found, said


def needed_by(alert: str) -> list[dict[str, Any]]:
    """The recorded series that it asks for, and those that they ask for."""
    needed: list[dict[str, Any]] = []
    asked = ALERTS[alert]["expr"]
    for rule in reversed([rule for rule in RULES if "record" in rule]):
        if rule["record"] in asked:
            needed.insert(0, rule)
            asked += rule["expr"]
    return needed


# Other bars


def others(alert: str) -> dict[str, list[dict[str, Any]]]:
    """Rules with one number, one duration or one window of the alert changed a little; by what was changed."""
    rule = ALERTS[alert]
    found: dict[str, list[dict[str, Any]]] = {}
    for place, old, new in _other_numbers(rule["expr"]):
        text = rule["expr"][: place.start()] + new + rule["expr"][place.end() :]
        found[f"{old} → {new} at {place.start()}"] = [{**rule, "expr": text}]
    for place in re.finditer(r"(?<=\[)\w+(?=\])|(?<=offset )\w+", rule["expr"]):
        for factor in (0.9, 1.1):
            other = f"{seconds(place[0]) * factor:.0f}s"
            text = rule["expr"][: place.start()] + other + rule["expr"][place.end() :]
            found[f"{place[0]} × {factor} at {place.start()}"] = [{**rule, "expr": text}]
    for factor in (0.5, 1.5):
        if waits := seconds(rule.get("for", "0s")):
            found[f"for × {factor}"] = [{**rule, "for": f"{waits * factor:.0f}s"}]
    for record in needed_by(alert):
        for factor in (0.9, 1.1):
            text = re.sub(r"\[(\w+)\]", lambda m, f=factor: f"[{seconds(m[1]) * f:.0f}s]", record["expr"])
            if text != record["expr"]:
                other = f"{record['record']}_other"
                changed = {**rule, "expr": re.sub(rf"{record['record']}\b", other, rule["expr"])}
                found[f"window of {record['record']} × {factor}"] = [{"record": other, "expr": text}, changed]
    return found


def _other_numbers(expr: str) -> list[tuple[re.Match[str], str, str]]:
    """Each number ten per cent off; a small whole one that stands alone, which counts something, one off."""
    found = []
    for number in re.finditer(r'(?<![\w.$:"])\d+(?:\.\d+)?(?![\w.:"])', expr):
        before, after = expr[: number.start()].rstrip(), expr[number.end() :].lstrip()
        if before.count('"') % 2:
            continue
        value = float(number[0])
        counts = value < 10 and value % 1 == 0 and before[-1:] in "<>=" and not after.startswith(("*", "/"))
        news = (value - 1, value + 1) if counts else (value * 0.9, value * 1.1)
        found += [(number, number[0], f"{new:g}") for new in news]
    return found


def survivors(folder: Any, alert: str, trials: Sequence[Trial]) -> set[str]:
    """What could be changed and no trial would notice."""
    rules, named = list(needed_by(alert)), {}
    for number, (what, changed) in enumerate(others(alert).items()):
        name = f"{alert}Other{number}"
        named[name] = what
        *records, rule = changed
        renamed = {one["record"]: f"{one['record']}{number}" for one in records}
        expr = rule["expr"]
        for old, new in renamed.items():
            expr = expr.replace(old, new)
        rules += [{**one, "record": renamed[one["record"]]} for one in records]
        rules.append({**rule, "alert": name, "expr": expr})
    if not named:
        return set()
    noticed, _ = wrong(folder, rules, trials)
    return {what for name, what in named.items() if name not in noticed}
