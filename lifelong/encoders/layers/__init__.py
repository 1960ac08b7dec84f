"""What encoders are built of: convolutions, a GRU, the parts of a Transformer and of HSTU, hiding, dropout, activations."""
