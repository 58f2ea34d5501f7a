"""What a film would give, and why, in pictures: for `latchstring video explain`."""
