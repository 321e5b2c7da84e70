"""Calibration of Almgren-Chriss parameters, optimal trajectories and the strategies that use them."""
