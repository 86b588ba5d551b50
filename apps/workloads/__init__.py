"""Pods, replica sets and deployments."""
