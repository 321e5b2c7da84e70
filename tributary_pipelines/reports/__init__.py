"""Plots from results; no reading and no computing of its own."""
