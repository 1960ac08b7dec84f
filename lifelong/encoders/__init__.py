"""From item vectors to states; one file an encoder."""
