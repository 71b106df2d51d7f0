"""Who asks for a change, and why: both are kept in the history for ever."""

from airflow.sdk import Context


def asker(context: Context) -> str:
    """The person, or the DAG."""
    return context["dag_run"].triggering_user_name or context["dag"].dag_id


def reason(context: Context) -> str:
    """What the form says; else who or what asked, which says more in a year than a word that everybody leaves there."""
    given, run = context["params"]["reason"], context["dag_run"]
    if given:
        return str(given)
    if run.triggering_user_name:
        return f"{run.triggering_user_name} asked and gave no reason"
    return f"{run.run_type} run of {context['dag'].dag_id}"
