"""Tributary: from collected market data to execution decisions, as a Dagster asset graph."""

__version__ = "0.1.0"
