"""The `tributary` command; nothing heavy is imported before a command needs it."""
