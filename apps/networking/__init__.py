"""Services and endpoint slices."""
