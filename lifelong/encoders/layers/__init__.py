"""What encoders are built of: a causal convolution, the parts of a Transformer, a quick dropout."""
