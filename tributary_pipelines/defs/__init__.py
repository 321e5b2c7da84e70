"""Dagster: assets, checks, schedule, sensor and the component that makes them. The only room that imports it."""
