"""A no that is meant ends every task in one way: a note on the run, a short block in the log, no word of a fault."""

import inspect
import itertools

import pytest
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.context import set_current_context

from pipeline.bootstrap import RunEnded
from pipeline.domain import errors
from pipeline.domain.errors import Refused
from plugins.faults import tell_failure
from plugins.refusals import NOTE_CHARACTERS, Refusal, note_of
from plugins.steps import step
from plugins.verdict.run_note import Ended, joined, parted
from tests.dags.folder import DAGS
from tests.dags.running import DagRun

_ALL = [one for _, one in inspect.getmembers(errors, inspect.isclass)]
KINDS = [one for one in _ALL if issubclass(one, Refused) and one is not Refused]
TASKS = [(dag, task.task_id) for dag in DAGS.values() for task in dag.tasks]
REASON = "accuracy 0.861, at least 0.900 needed"


def said_in(dag, task_id, no):
    """What ends the task, and its run."""

    def call(_pipeline):
        raise no

    run = DagRun(dag)
    with set_current_context(run.context(task_id)), pytest.raises(AirflowFailException) as ended:
        step(call)
    return ended.value, run


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(("dag", "task_id"), TASKS, ids=str)
def test_every_task_that_is_told_no_leaves_the_note_of_its_run_and_a_short_block(capsys, dag, task_id, kind):
    no = kind("that is not done")
    ended, run = said_in(dag, task_id, no)
    assert isinstance(ended, Refusal) and ended.__cause__ is None and ended.__suppress_context__
    assert run.pushed[task_id, "note"] == note_of(no)
    assert "that is not done" in note_of(no) and no.advice in note_of(no)
    task = dag.get_task(task_id)
    called = task.partial_kwargs["on_failure_callback"] if task.is_mapped else task.on_failure_callback
    run.results |= dict.fromkeys(("watch", "watch_face"), {"target": "v1.0.0", "version": "v1.1.0"})
    for callback in called if isinstance(called, list) else [called]:
        callback({**run.context(task_id), "exception": ended})
    block = capsys.readouterr().out.rpartition("─\n")[0].split("─" * 100)[-1]
    assert "that is not done" in block and no.advice in " ".join(block.split())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_refused_step_is_told_with_its_own_advice_and_never_as_something_to_mend_first(desk, kind):
    dag = DAGS["laundry_model_retraining"]
    ended, run = said_in(dag, "validate", kind("DS-2026-001 refused", [REASON]))
    tell_failure({**run.context("validate"), "exception": ended})
    if kind.has_news:
        assert desk.names() == ["publish_events"]
    else:
        fault = desk.only("report_fault")[0]
        assert REASON in fault.reason and fault.advice == kind.usual_advice != ""


def test_many_reasons_leave_room_for_what_to_do_and_where_to_look():
    no = RunEnded(
        "the model was refused", [f"{REASON} ({n})" for n in range(80)], "collect more photos", "http://report"
    )
    note = note_of(no)
    assert len(note) == NOTE_CHARACTERS
    assert note.startswith(f"the model was refused: {REASON} (0)")
    assert note.endswith("…. Next: collect more photos (report: http://report)")


@pytest.mark.parametrize("written", ["", "kim: too strict", "two\n\nparagraphs", "x" * 2000])
@pytest.mark.parametrize("ends", list(itertools.product(Ended, repeat=3)))
def test_however_often_a_run_ends_its_note_has_what_a_person_wrote_and_the_last_end_once(written, ends):
    note = written
    for number, ended in enumerate(ends):
        note = joined(parted(note)[0], ended, f"why {number}")
    assert note.endswith(f"{ends[-1]}why 2") and len(note) <= NOTE_CHARACTERS
    assert note.startswith(written[:900]) and sum(note.count(mark) for mark in Ended) == 1


def test_what_a_person_adds_below_stays_and_a_run_that_never_failed_has_no_word_of_ours():
    assert parted("kim: strict\n\n✗ failed: weak\n\nlee: I clear it") == ("kim: strict\n\nlee: I clear it", "weak")
    assert joined("kim: strict", Ended.WELL, "") == "kim: strict"
