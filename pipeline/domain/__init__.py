"""Pure decisions of the retraining application: standard library only."""
