"""ConfigMap and Secret."""
