"""What may be asked, what matches, what the owner decided, and what may therefore leave. Decides; does no network."""
