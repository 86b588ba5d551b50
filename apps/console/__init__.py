"""The console's pages and live subscriptions."""
