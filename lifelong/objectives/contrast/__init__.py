"""What sets right items apart from others by itself, without the head's loss: points of a window, draws, softmax of a batch."""
