"""The command line: it reads options, calls flows, and prints answers. Heavy imports happen inside commands."""
