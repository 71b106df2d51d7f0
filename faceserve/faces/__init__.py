"""Enrolled faces: their reference photos, and whom a photo looks most like."""
