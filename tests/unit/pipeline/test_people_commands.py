"""Commands for people: who served when, and messages that could not be used."""

import hashlib
import json

import pytest
from click.testing import CliRunner

from pipeline.__main__ import main
from pipeline.bootstrap import GiveUp, Pipeline
from tests.desk import Desk
from tests.fakes.events import FakeDeadLetters, FakeQueue

WHO = ("--actor", "kim", "--reason", "strict")
FACE = ("--model-type", "FACE")
ANSWERS = {
    "lineage_of_task": [{"task_id": "TASK-1", "version": version} for version in ("v1.0.0", None)],
    "lineage_of_model": [{"version": "v1.0.0", "photos": 1}, {"task_id": "TASK-1"}],
    "erase_photo": {"task_id": "TASK-1", "rewritten": []},
    "watch": {"state": "unknown", "reason": "0 matured confirmations", "act": False},
    "abort_canary": True,
    "withhold": {"id": "3f2a", "scope": "branch", "name": "B-1", "corrections": 3},
    "give_back": {"id": "3f2a", "given_back": {"actor": "kim"}},
    "worth": [{"version": "v1.1.0", "against": "v1.0.0", "verdicts": 400}],
    "withheld": [{"id": "3f2a"}, {"id": "77b1"}],
    "clear_freeze": {"cleared": "rollback:1", "champion": "v1.0.0"},
    "retire": {"selected": ["v1.0.0"], "failed": {}, "dry_run": True},
    "restore": {"version": "v1.0.0", "status": "RETIRED"},
    "history": [{"version": "v1.0.0", "actor": "kim"}, {"version": "v1.1.0", "actor": "laundry_model_retraining"}],
}


class PeoplesPipeline(Desk):
    """With two messages that could not be used."""

    def __init__(self):
        super().__init__(**ANSWERS)
        self.queue = FakeQueue()
        for body, reason in ((b"not json", "body is not JSON"), (b"\x1b[2Jcleared\nforged line", "body is not JSON")):
            self.queue.send(body)
            for batch in self.queue.batches(max_messages=1, batch_size=1):
                self.queue.dead_letter(batch[0], reason)
                self.queue.acknowledge(batch)
        self.dead_letters = FakeDeadLetters(self.queue)


@pytest.fixture
def desk(monkeypatch, two_types):
    made = PeoplesPipeline()
    monkeypatch.setattr(Pipeline, "from_env", classmethod(lambda cls: made))
    return made


def lines(*arguments, given=None):
    result = CliRunner().invoke(main, arguments, input=given, catch_exceptions=False)
    assert result.exit_code == 0
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def test_the_history_is_one_object_a_line(desk):
    assert [row["version"] for row in lines("history")] == ["v1.0.0", "v1.1.0"]


def test_what_was_set_aside_is_one_object_a_line(desk):
    assert [row["id"] for row in lines("withheld")] == ["3f2a", "77b1"]


def test_what_each_version_is_worth_is_one_object_a_line(desk):
    assert lines("worth", *FACE) == ANSWERS["worth"]
    assert desk.only("worth") == ("FACE",)


def test_the_list_has_an_id_and_a_reason_for_each(desk):
    assert [(row["reason"], len(row["id"])) for row in lines("dead-letters", "list")] == [("body is not JSON", 12)] * 2


def test_hostile_bytes_cannot_play_tricks_on_the_terminal(desk):
    letter = desk.dead_letters.all()[1]
    shown = CliRunner().invoke(main, ["dead-letters", "show", letter.id]).stdout
    assert "\x1b" not in shown and shown.count("\n") == 1
    assert json.loads(shown)["body"] == letter.body.decode()


def test_letters_are_put_back(desk):
    ids = [letter.id for letter in desk.dead_letters.all()]
    assert lines("dead-letters", "requeue", *ids) == [{"requeued": i} for i in ids]
    assert (desk.queue.depth(), desk.dead_letters.all()) == (2, [])


def test_nothing_is_thrown_away_without_a_yes(desk):
    letter = desk.dead_letters.all()[0]
    refused = CliRunner().invoke(main, ["dead-letters", "discard", letter.id], input="n\n")
    assert refused.exit_code == 1
    assert len(desk.dead_letters.all()) == 2
    assert lines("dead-letters", "discard", letter.id, given="y\n") == [{"discarded": letter.id}]
    assert len(desk.dead_letters.all()) == 1


def test_an_unknown_id_is_a_sentence(desk):
    with pytest.raises(GiveUp, match="no dead letter 'nonsense'"):
        CliRunner().invoke(main, ["dead-letters", "show", "nonsense"], catch_exceptions=False)


def test_lineage_goes_both_ways(desk):
    assert lines("lineage", "task", "TASK-1")[0] == {"task_id": "TASK-1", "version": "v1.0.0"}
    assert lines("lineage", "model", "v1.0.0", "--model-type", "FACE") == ANSWERS["lineage_of_model"]
    assert desk.asked == [("lineage_of_task", ("TASK-1",), {}), ("lineage_of_model", ("FACE", "v1.0.0"), {})]


def test_a_photo_is_forgotten_after_asking(desk):
    wanted = ("erase-photo", "--task-id", "TASK-1", "--actor", "kim", "--reason", "asked by the customer")
    assert CliRunner().invoke(main, wanted, input="n\n").exit_code == 1
    assert desk.asked == []
    assert lines(*wanted, "--yes") == [{"task_id": "TASK-1", "rewritten": []}]
    assert desk.only("erase_photo") == ("TASK-1", ("actor", "kim"), ("reason", "asked by the customer"))


KEPT = (("keep", 3), ("dry_run", True))


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["watch", *FACE], ("watch", "FACE")),
        (["abort-canary", "v1.1.0", *FACE, *WHO], ("abort_canary", "FACE", "v1.1.0", "kim", "strict", ...)),
        (["retire", "--keep", "3", "--dry-run"], ("retire", "LAUNDRY", "command line", ..., *KEPT)),
        (["retire", *FACE, "--actor", "kim"], ("retire", "FACE", "kim", ..., ("keep", None), ("dry_run", False))),
        (["restore", "v1.0.0", *FACE, "--actor", "kim"], ("restore", "FACE", "v1.0.0", "kim", ...)),
        (["clear-freeze", *FACE, *WHO], ("clear_freeze", "FACE", "kim", "strict", ...)),
        (["withhold", "branch:B-1", *FACE, *WHO], ("withhold", "FACE", "branch:B-1", "kim", "strict", ...)),
        (["give-back", "3f2a", *WHO], ("give_back", "3f2a", "kim", "strict")),
    ],
)
def test_upkeep_hands_on_what_it_was_told_and_answers_with_one_line_of_json(desk, arguments, asked):
    name, *told = asked
    answer = ANSWERS[name]
    assert lines(*arguments) == [{"aborted": True} if name == "abort_canary" else answer]
    said = desk.only(name)
    # Every command is a request of its own.
    for one, wanted in zip(said, told, strict=True):
        assert one.startswith("command-") if wanted is ... else one == wanted


@pytest.mark.parametrize("command", [["clear-freeze", "--actor", "kim"], ["abort-canary", "v1.1.0", "--actor", "kim"]])
def test_who_changes_something_says_why(desk, command):
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert "Missing option '--reason'" in result.stderr


@pytest.mark.parametrize(("named", "file"), [((), "proof-FACE-v1.0.0.zip"), (("--out", "mine.zip"), "mine.zip")])
def test_a_proof_is_a_file_that_is_told_with_its_hash(desk, tmp_path, monkeypatch, named, file):
    monkeypatch.chdir(tmp_path)
    desk.answers["proof"] = b"PK"
    [told] = lines("proof", "v1.0.0", *FACE, *named)
    assert desk.only("proof") == ("FACE", "v1.0.0")
    assert (tmp_path / file).read_bytes() == b"PK"
    assert told == {"file": file, "bytes": 2, "sha256": hashlib.sha256(b"PK").hexdigest()}
