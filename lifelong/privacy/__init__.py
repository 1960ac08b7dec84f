"""What a model has to do with single people: whom it was trained on, how to take them out, what it gives away of them."""
