"""Bridge, addresses, service rules."""
