"""Events and step timings."""
