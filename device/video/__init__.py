"""Pictures: capture, scenes, codec, motion, recorder. Knows no other room."""
