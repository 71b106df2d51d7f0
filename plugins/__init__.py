"""What the DAGs are made of: operators, triggers, and telling people. DAG files only put them in order."""
