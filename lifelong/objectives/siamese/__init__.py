"""What contrasts two views of one user: the views, the networks beside the encoder, and the watch for collapse."""
