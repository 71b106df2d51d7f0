"""Queues of Airflow's workers, on a virtual host of their own: a worker takes tasks of the queues it is given."""

VIRTUAL_HOST = EXCHANGE = "airflow"
DEFAULT, GPU, CPU_HEAVY = "default", "gpu", "cpu-heavy"
QUEUES = (DEFAULT, GPU, CPU_HEAVY)
# A message is acknowledged when its task has ended, so that nobody holds tasks for which there is no place. RabbitMQ
# would take it for lost after half an hour; no try of a task lasts as long as this.
LONGEST_TASK_SECONDS = 8 * 3600
# Slices of photos prepared at once, where nobody says how many.
SLICES_AT_ONCE = 2


def arguments() -> dict[str, int]:
    """Arguments with which each queue is declared; obeyed from RabbitMQ 3.12 on. Before that,
    set `consumer_timeout`.
    """
    return {"x-consumer-timeout": LONGEST_TASK_SECONDS * 1000}
