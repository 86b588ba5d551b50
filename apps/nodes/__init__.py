"""Nodes, leases and the certificate authority."""
