"""The commands, a module a group; each module lists its own in COMMANDS."""
