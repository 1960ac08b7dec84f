"""What a task may put into a slot; one file each."""
