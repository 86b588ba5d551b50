"""Logs, exec and stats over mutual TLS."""
