"""Faces: who is who, on which side of the split, and how sure two rates of error are (design D24; UC-23)."""
