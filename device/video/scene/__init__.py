"""Films that are drawn: scene files, what they mean with a seed, and the pictures. No clock; only `file` reads."""
