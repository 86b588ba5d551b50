"""Shared between node and control plane; standard library and msgspec only."""
