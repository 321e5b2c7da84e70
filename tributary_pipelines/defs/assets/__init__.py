"""The assets, one module a subject: read, compute and write in the open; the computing itself is in flows."""
