"""Pods and containers from an OCI configuration, in two phases."""
