"""What `./gantry` runs once Python and the environment exist."""
