"""Faces, from pixels to scores: what learns and what measures, the only home of arrays about people."""
