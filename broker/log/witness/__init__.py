"""A witness, anybody's: it cosigns checkpoints of a log that only grows, and keeps what proves that one does not."""
