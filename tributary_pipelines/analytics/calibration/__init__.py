"""Estimators of impact and volatility: what one day contributes, and what a window of days identifies."""
