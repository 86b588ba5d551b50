"""Fetch, verify, unpack and stack images."""
