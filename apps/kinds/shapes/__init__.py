"""Descriptions of what several kinds share: metadata, pod specifications, containers, volumes."""
