"""The embedded store: one DuckDB file behind the interfaces of storage/base.py."""
