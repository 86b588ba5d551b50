"""Pure decisions: plain data and the time in, actions out."""
