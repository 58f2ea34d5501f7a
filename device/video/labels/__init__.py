"""What moved: the best frames of an event, a rule by shape, and a small model in a process of its own."""
