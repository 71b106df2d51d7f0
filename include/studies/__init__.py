"""Why design D1 and D2 exist, measured on the demo's photos: `python -m include.studies` makes the results anew."""
