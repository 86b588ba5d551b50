"""Live views: what is shared by all sockets of the process, fed by the store's log."""
