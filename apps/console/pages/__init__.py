"""Detail pages: what each shows, read from the store; the same function feeds the first HTML and the live page."""
