"""The Django project: settings, addresses, ASGI, Celery. No business rules."""
