"""The drill's last part: a face model learns from doors, goes live while it is asked, and is taken back.

Everybody in it is drawn, and so few that bars of a hundred thousand pairs say nothing: whether doors refuse fewer of
them than before is what `make demo-face` shows.
"""

import os
from typing import Any

from rich.console import Console

from include.demo.faces import FaceStory, judge_rollout
from include.demo.people import DrawnPerson
from include.demo.report import Report
from include.demo.stage import Stage

PEOPLE = 120
_OF_A_DRILL = {
    "RETRAIN_FACE_MIN_CORRECTIONS": "1",
    "RETRAIN_FACE_MIN_TOUCHED": "1",
    "RETRAIN_FACE_MIN_DAYS_BETWEEN_TRAININGS": "0",
    "RETRAIN_FACE_MIN_PEOPLE": "10",
    "RETRAIN_FACE_FAR_OF_FEW": "0.05",
    "RETRAIN_FACE_FPIR_OF_FEW": "0.5",
    "RETRAIN_FACE_MIN_TAR": "0.5",
    "RETRAIN_FACE_MARGIN_OF_FEW": "0.3",
    "RETRAIN_FACE_MAX_FLIPS_OF_FEW": "0.3",
    "RETRAIN_FACE_MAX_NEGATIVE_FLIPS": "0.3",
}
_FIGURES = ("version", "previous_version", "checks", "corrections", "retraining_seconds", "deploy_seconds")
_AND_OF_TRAFFIC = ("rollback_seconds", "requests_sent", "requests_failed", "total_seconds")


def drill_faces(drill: Stage, console: Console) -> None:
    """On a stage of its own, so that its requests are counted apart."""
    os.environ.update(_OF_A_DRILL)
    stage = Stage(drill.stack, "Faces that learn from doors", console)
    add(FaceStory(stage, [DrawnPerson(number) for number in range(PEOPLE)]).tell(), drill.report)


def add(faces: Report, drill: Report) -> None:
    """What faces did belongs to the drill, and so does every promise that they broke."""
    judge_rollout(faces)
    measured: dict[str, Any] = {name: faces.figures.get(name) for name in (*_FIGURES, *_AND_OF_TRAFFIC)}
    drill.record(faces=measured)
    for promise in dict.fromkeys(faces.broken):
        drill.demand(False, f"faces: {promise}")
