"""From user vectors to scores; one file a head."""
