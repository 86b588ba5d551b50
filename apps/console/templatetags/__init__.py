"""Template tags of the console's components."""
