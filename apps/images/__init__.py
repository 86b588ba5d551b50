"""Images, layers and registries."""
