"""What a change of champion answered, as sentences in the task's log."""

from typing import Any


def say(changed: dict[str, Any]) -> dict[str, Any]:
    """Print what a person should know about `changed`, and hand it on."""
    for sentence in _sentences(changed):
        print(sentence)
    return changed


def _sentences(changed: dict[str, Any]) -> list[str]:
    found = list(changed.get("missing", ()))
    if changed["skipped"]:
        found.append(f"left out, because a person took them out of rotation: {', '.join(changed['skipped'])}")
    if changed["serves_now"] != changed["version"]:
        found.append(
            f"this request put {changed['version']} live before; {changed['serves_now']} serves by now, and stays"
        )
    return found
