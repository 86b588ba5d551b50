"""One file a kernel primitive: thin typed wrappers."""
