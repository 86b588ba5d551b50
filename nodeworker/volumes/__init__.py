"""emptyDir, configMap, secret and projected volumes."""
