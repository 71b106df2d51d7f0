"""The DAGs that should never be paused."""

from pipeline.bootstrap.kinds import model_types

# What does not happen while a DAG is paused. Each is live as soon as it exists: what a person triggers, or the monitor,
# would otherwise wait in a queue that nobody looks at.
ALWAYS_ON = {
    "task_confirmed_intake": "No confirmation is taken in, and nothing becomes due for retraining; messages wait",
    **{
        f"{kind.lower()}_model_retraining": f"No {kind} model is trained, neither at night nor when corrections make "
        "one due"
        for kind in model_types()
    },
    "face_model_retraining": "No FACE model is retrained, however many corrections wait",
    "live_accuracy_monitor": "Nobody looks how often the champion is right, and no bad one is taken down",
    "model_rollback": "No rollback happens, neither a person's nor the monitor's",
    "model_promotion": "No version goes live by hand: whoever triggers a promotion waits without end",
    "model_decision": "No decision of a person about a canary, a freeze, a held model or a dead letter is carried out",
    "model_retention": "Old versions' files stay where they are",
    "backup": "No copy of the databases is made: a restore takes longer with every day",
    "restore_test": "Nobody tries whether the backups are any good",
}
