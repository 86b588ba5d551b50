"""Placement of pods on nodes."""
