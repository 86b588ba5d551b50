"""The Kubernetes protocol."""
