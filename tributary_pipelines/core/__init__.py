"""Shared words of the project: models, frames, units, errors, settings. Imports nothing else of the package."""
