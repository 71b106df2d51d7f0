"""The command that trains, the same here and in a pod."""

from plugins.steps import step

# Fields of the form that are options of the command.
OPTIONS = ("backbone", "epochs", "batch_size", "learning_rate", "label_smoothing")
GAVE_UP = "the training gave up: another try would end the same way"


def train_arguments(model_type: str, run_id: str) -> list[str]:
    """Arguments of `python -m pipeline`; parameters left empty in the form are left out."""
    options = "".join(
        f"{{% if params.{name} is not none %}} --{name.replace('_', '-')} {{{{ params.{name} }}}}{{% endif %}}"
        for name in OPTIONS
    )
    # Runs that began before the form had it go on without.
    options += "{% if params.get('sweep') %} --sweep{% endif %}"
    dataset = "{{ ti.xcom_pull(task_ids='collect') }}"
    return ["train", "--model-type", model_type, "--run-id", run_id, "--dataset-id", dataset, options]


def blame_memory(arguments: list[str], detail: str) -> None:
    """Let the next try of the training with these arguments adjust to what happened."""
    run_id, dataset_id = (arguments[arguments.index(name) + 1] for name in ("--run-id", "--dataset-id"))
    change = step(lambda p: p.blame_memory(run_id, dataset_id, detail))
    print(f"{detail}; next: {change or 'nothing, no attempt was running'}")
