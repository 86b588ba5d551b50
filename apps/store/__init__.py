"""The object store: one log, many readers."""
