"""Registers the listener. Airflow runs this file in every one of its processes, so it imports next to nothing."""

from airflow.plugins_manager import AirflowPlugin

from plugins.verdict import run_note


class RunNote(AirflowPlugin):
    name = "run_note"
    listeners = [run_note]
