"""Every DAG of the folder, whatever is added to it."""

import importlib

from airflow.sdk import DAG

from include.stack.layout import REPOSITORY

FILES = sorted(path.stem for path in (REPOSITORY / "dags").glob("*.py") if path.stem != "__init__")


def _made(name):
    module = importlib.import_module(f"dags.{name}")
    return [one for one in vars(module).values() if isinstance(one, DAG)] or [getattr(module, name)()]


DAGS = {dag.dag_id: dag for name in FILES for dag in _made(name)}
