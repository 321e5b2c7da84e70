"""The market store: one interface (base.py), two databases behind it, files in and out."""
