"""Taking a task in: what is trained, on what, from where, and by which strategy."""
