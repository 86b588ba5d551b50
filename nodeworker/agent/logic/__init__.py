"""Pure decisions of the node agent: desired and observed in, actions out."""
