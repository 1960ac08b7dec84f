"""What the item encoders are made of."""
