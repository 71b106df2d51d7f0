"""The models at a glance, in Airflow's own pages: what serves, how well, and a way back in two clicks.

It reads; every change is a DAG run that the person's own browser asks Airflow for, with the person's own session.
"""
