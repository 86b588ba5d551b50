"""Desired pods + observed pods -> plan -> apply."""
