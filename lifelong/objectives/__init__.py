"""What an encoder is trained for; one file an objective."""
