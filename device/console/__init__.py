"""The owner's console: a page on loopback where footage is looked at, and requests for it are decided."""
