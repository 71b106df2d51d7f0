"""The outcome of a change of champion, or what ended it, as sentences for people."""

from typing import Any


def say(changed: dict[str, Any]) -> dict[str, Any]:
    """Print what a person should know about `changed`, and hand it on."""
    for sentence in _sentences(changed):
        print(sentence)
    return changed


def what_ended(context: Any) -> str:
    """Why a task failed. There is no exception when its process is gone: killed, out of memory, or its machine lost."""
    error = context.get("exception")
    return f"the task {context['ti'].task_id} was killed before it ended" if error is None else str(error)


def _sentences(changed: dict[str, Any]) -> list[str]:
    found = list(changed.get("missing", ()))
    if changed["skipped"]:
        found.append(f"left out, because a person took them out of rotation: {', '.join(changed['skipped'])}")
    if changed["registry_is_behind"]:
        found.append(
            f"the registry does not name {changed['serves_now']} yet: a replica that starts with an empty disk may "
            "serve another version until the monitor has told it"
        )
    if changed["serves_now"] != changed["version"]:
        found.append(
            f"this request put {changed['version']} live before; {changed['serves_now']} serves by now, and stays"
        )
    return found
