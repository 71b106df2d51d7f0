"""Candidate and champion on the same photos (specification, messages 20-26; design D3)."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.domain.checks import AccuracyMeasurement, Check, Prediction
from pipeline.domain.dataset import Manifest, Split
from pipeline.domain.errors import DatasetRefused, ModelRefused
from pipeline.domain.leakage import leaks
from pipeline.domain.verification import refused_to_load
from pipeline.ports.bundles import Verification
from pipeline.steps.ask_models import Answers, ask, demand_most
from pipeline.steps.contest import Contest
from pipeline.steps.keep_evidence import keep_evidence, said_by_trainer


def verify_accuracy(verification: Verification, contest: Contest) -> tuple[Check, ...]:
    """Candidate and champion see the same original photos, each through a real model server.

    Every prediction is kept beside the artifact, so that the verdict can be checked later, and the photos that only
    the champion judges right, to look at. Cleared after the verdict, it measures nothing and gives the verdict's
    checks: the evidence stays. Raises `DatasetRefused` when training and evaluation overlap.
    """
    v, manifest = verification, contest.manifest
    if (blessing := v.blessings.of_run(contest.run_id)) is not None:
        return tuple(blessing.checks)
    if found := leaks(manifest.photos):
        raise DatasetRefused(f"what was trained on cannot be verified on: {'; '.join(found[:3])}")
    try:
        with v.trials.serve(contest.model_type, contest.run_id, contest.candidate) as trial:
            ours = ask(trial, manifest.natural, v.photos)
            corrections = ask(trial, manifest.of(Split.HELD_OUT_CORRECTIONS), v.photos)
    except ModelRefused as error:
        judged: tuple[Check, ...] = (refused_to_load(str(error), contest.champion_version),)
    else:
        measured = replace(_beside_champion(contest, ours, v), corrections=corrections.said)
        keep_evidence(measured, contest, v)
        judged = v.policy.judge_accuracy(measured, manifest.labels, contest.by_task)
    v.checks.save(contest.run_id, "accuracy", judged)
    return judged


def _beside_champion(contest: Contest, ours: Answers, verification: Verification) -> AccuracyMeasurement:
    """Photos that both could be asked about; a photo that one of them lacked judges neither."""
    other, theirs, fault = contest.champion, None, ""
    if other is not None:
        try:
            with verification.trials.serve(contest.model_type, other.version, other.artifact) as trial:
                theirs = ask(trial, contest.manifest.natural, verification.photos)
        except ModelRefused as error:
            fault = str(error)
    gone = {**ours.gone, **(theirs.gone if theirs else {})}
    demand_most(contest.manifest.natural, gone)
    validation, holdout = _sides(ours.but(gone), contest.manifest)
    champion_validation, champion_holdout = _sides(theirs.but(gone), contest.manifest) if theirs else (None, None)
    return AccuracyMeasurement(
        champion_version=contest.champion_version,
        validation=validation,
        holdout=holdout,
        champion_validation=champion_validation,
        champion_holdout=champion_holdout,
        champion_fault=fault,
        trainer=said_by_trainer(contest, verification),
    )


def _sides(said: Sequence[Prediction], manifest: Manifest) -> tuple[tuple[Prediction, ...], tuple[Prediction, ...]]:
    """Those on validation photos, and those on the holdout."""
    held = {p.task_id for p in manifest.of(Split.HOLDOUT)}
    return tuple(p for p in said if p.task_id not in held), tuple(p for p in said if p.task_id in held)
