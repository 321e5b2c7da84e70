"""A QuestDB server behind the interfaces of storage/base.py, and a local server for development."""
