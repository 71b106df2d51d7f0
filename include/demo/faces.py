"""`python -m include.demo.faces`: faces that learn from doors, on the running stack or on as much of one as it takes.

Everybody in it is drawn: no figure says anything about people.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import stamina
from rich.console import Console

from include.contract.client import FaceserveClient
from include.demo.doors import Doors, Visit, access_service
from include.demo.people import DrawnPerson
from include.demo.report import Report
from include.demo.stage import Stage, publish, refusals_as_sentences
from include.demo.traffic import about_faces, p99_ms
from include.stack import runner
from include.stack.layout import Stack, default_root, environment, load
from include.stack.services import demand_complete
from include.stack.supervision import Supervision
from pipeline.bootstrap import Pipeline
from pipeline.domain.faces.identities import Side, side_of

# What faces need of a stack; a running one is left as it is.
_PARTS = ("postgres", "rabbitmq", "s3", "mlflow", "faceserve")
# Portraits of each that the first model learns from; strangers before doors for each visitor.
_PORTRAITS, _STRANGERS_PER_VISITOR = 3, 0.15
_REQUESTS_PER_SECOND, _PHOTOS_SENT = 4.0, 16
_SECONDS = 300.0
# In the demo a week passes in a minute, and what fifty drawn people prove is not what a hundred thousand pairs would.
_OF_A_DEMO = {
    "RETRAIN_FACE_MIN_CORRECTIONS": "30",
    "RETRAIN_FACE_MIN_DAYS_BETWEEN_TRAININGS": "0",
    "RETRAIN_FACE_MAX_NEGATIVE_FLIPS": "0.1",
}
_CHAMPION = """
    SELECT to_version FROM transitions WHERE phase = 'served' AND model_type = 'FACE' ORDER BY position DESC LIMIT 1"""

console = Console(highlight=False)


@dataclass
class FaceStory:
    """One telling, by so many `people` of whom a part passes a door."""

    stage: Stage
    people: Sequence[DrawnPerson]
    stamp: str = field(default_factory=lambda: str(int(time.time())))

    def tell(self) -> Report:
        with self.stage, access_service(self.stage.stack) as doors:
            self._first_model()
            self._enrolment(doors)
            refused_before = self._refused()
            self._visits(doors)
            self._retraining()
            self.stage.report.record(refused_before=refused_before, refused_after=self._refused())
            self._there_and_back()
        return self.stage.conclude()

    # Acts

    def _first_model(self) -> None:
        stage = self.stage
        stage.report.record(synthetic="everybody is drawn", people=len(self.people))
        if served := stage.query(_CHAMPION):
            stage.act(f"{served[0][0]} serves already: it goes on from there")
            return
        stage.act(f"Portraits of {len(self.people)} drawn people become the first face model")
        with tempfile.TemporaryDirectory() as folder:
            for person in self.people:
                (Path(folder) / person.identity).mkdir()
                for shot in range(_PORTRAITS):
                    (Path(folder) / person.identity / f"{shot}.jpg").write_bytes(person.photo(shot))
            first = self._pipeline("face-model", folder, "--run-id", f"demo-faces-{self.stamp}", "--actor", "demo")
        stage.say(f"{first['version']} serves, threshold {first['threshold']:.4f}, head: {first['head']}")

    def _enrolment(self, doors: Doors) -> None:
        stage, started = self.stage, time.monotonic()
        stage.act(f"{len(self.people)} people are enrolled, and traffic begins on both replicas")
        with stage.bar("enrolling", len(self.people)) as done:
            doors.enrol(self.people, done)
        stage.report.record(enrol_seconds=round(time.monotonic() - started, 1))
        stage.send([one.photo(1) for one in self.people[:_PHOTOS_SENT]], _REQUESTS_PER_SECOND, about_faces)

    def _visits(self, doors: Doors) -> None:
        """Whoever judges visits, too: a model is judged by what doors see."""
        stage, visits = self.stage, visits_of(self.people, self.stamp)
        stage.act(f"{len(visits)} checks at doors with other cameras, and a person's word on each")
        with stage.bar("checking", len(visits)) as done:
            wrong = doors.check(visits, done)
        pipeline = Pipeline.from_env()

        def stored() -> bool:
            pipeline.accumulate()
            mine = f"FACE-{self.stamp}-%"
            ((count,),) = stage.query("SELECT count(*) FROM face_confirmations WHERE check_id LIKE %s", mine)
            return int(count) >= len(visits)

        stage.wait(stored, "the confirmations to be taken in", _SECONDS)
        stage.say(f"{wrong} of {len(visits)} answers were wrong, people said")
        stage.report.record(checks=len(visits), corrections=wrong)

    def _retraining(self) -> None:
        stage, started, again = self.stage, time.monotonic(), f"demo-again-{self.stamp}"
        stage.act("Retraining of what people said at doors, verification, hot swap under load")
        done = self._pipeline("face-retraining", "--run-id", again)
        if "version" not in done:
            raise RuntimeError(f"nothing was trained: {done['reason']}")
        stage.wait_until_served(done["version"])
        names = ("version", "previous_version", "head", "threshold", "deploy_seconds", "swap_milliseconds_max")
        now = time.monotonic()
        stage.report.record(
            **{name: done[name] for name in names},
            learned_from={"people": sum(done["people"].values()), "corrections": done["corrections"]},
            judged_by_people=done["people"][Side.TEST],
            retraining_seconds=round(now - started, 1),
            request_p99_ms=p99_ms(stage.answers(), started, now),
        )
        stage.say(f"both replicas answer as {done['version']}")

    def _there_and_back(self) -> None:
        stage, figures, started = self.stage, self.stage.report.figures, time.monotonic()
        stage.act(f"Back to {figures['previous_version']}, and forward again")
        who = ("--model-type", "FACE", "--actor", "demo", "--reason", "demo: show the way back")
        self._pipeline("roll-back", *who)
        stage.wait_until_served(figures["previous_version"])
        stage.report.record(rollback_seconds=round(time.monotonic() - started, 1))
        self._pipeline("hot-swap", *who, "--version", figures["version"])
        stage.wait_until_served(figures["version"])

    # Steps of acts

    def _refused(self) -> float:
        """Share of those whom no model learns from that a door refuses, on photos that no model ever sees."""
        judges = [one for one in self.people if side_of(one.identity) is Side.TEST]
        with FaceserveClient(self.stage.stack.replicas) as client:
            found = [client.compared("face", one.at_door(-1), identity=one.identity) for one in judges]
        return round(sum(one.recognised is None for one in found) / len(judges), 3)

    def _pipeline(self, *arguments: str) -> dict[str, Any]:
        """`python -m pipeline …`; its progress is in `.stack/logs/demo-faces.log`."""
        log = self.stage.stack.log("demo-faces")
        with log.open("a") as out:
            command = [sys.executable, "-m", "pipeline", *arguments]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=out, check=False)
        if done.returncode != 0:
            tail = "\n".join(log.read_text().splitlines()[-15:])
            raise RuntimeError(f"python -m pipeline {arguments[0]} failed ({done.returncode}); end of {log}:\n{tail}")
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer


def visits_of(people: Sequence[DrawnPerson], stamp: str) -> list[Visit]:
    """Three of four pass a door, and now and then somebody else does in their name; every stamp other photos."""
    chance, shot = random.Random(stamp), int(stamp)
    visitors = [one for one in people if chance.random() < 0.75]
    strangers = [(one, chance.choice(people)) for one in visitors if chance.random() < _STRANGERS_PER_VISITOR]
    came = [(one.identity, one.at_door(shot), True) for one in visitors]
    came += [(one.identity, other.at_door(shot + 1), False) for one, other in strangers if one != other]
    return [Visit(f"FACE-{stamp}-{number:05d}", *visit) for number, visit in enumerate(came)]


def judge(report: Report) -> None:
    """What faces must show."""
    f = report.figures
    report.demand(f["refused_after"] < f["refused_before"], "doors refuse fewer of the right people than before")
    judge_rollout(report)


def judge_rollout(report: Report) -> None:
    """And however few they are."""
    f = report.figures
    report.demand(f["deploy_seconds"] < 60, "deployment within a minute")
    report.demand(f["rollback_seconds"] < 60, "rollback within a minute")


def _stack() -> Stack:
    """One that runs, if it has what faces need; else that is started."""
    there = load(default_root())
    if there is not None and Supervision(there).running():
        demand_complete(there)
        parts = (service for service in runner.all_services(there) if service.name in _PARTS)
        names = {program.name for service in parts for program in service.programs}
        if names <= {info["name"] for info in Supervision(there).states() if info["statename"] == "RUNNING"}:
            return there
    return runner.up(default_root(), lambda text: console.print(f"  [green]✓[/] {text}"), _PARTS)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--people",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    help="Drawn people; of fewer than 370 too few judge.",
)
def main(people: int) -> None:
    """Drawn people are enrolled and checked at doors; what is said of that makes the next model, which goes live."""
    stack = _stack()
    # What was asked once more is no news.
    stamina.instrumentation.set_on_retry_hooks(())
    os.environ.update({**environment(stack), **_OF_A_DEMO})
    stage = Stage(stack, "Faces that learn from doors, measured on drawn people (synthetic)", console)
    report = FaceStory(stage, [DrawnPerson(number) for number in range(people)]).tell()
    judge(report)
    status = publish(report, stack.root / "demo-face-report.json", console)
    console.print("the stack stays up: `make down` stops it")
    sys.exit(status)


if __name__ == "__main__":
    with refusals_as_sentences("demo of faces", console):
        main()
