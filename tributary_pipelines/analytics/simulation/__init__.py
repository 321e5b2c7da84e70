"""Replay of orders on recorded books, and a synthetic market with known truth."""
