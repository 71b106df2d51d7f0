"""Enrolled faces: their reference photos, and which of them a photo resembles most."""
