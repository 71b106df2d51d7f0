"""What the DAGs are made of: operators, triggers, and notices to people. DAG files only put them in order."""
