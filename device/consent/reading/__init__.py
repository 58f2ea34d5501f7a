"""What a device knows of the public log by having read it: proven growth, and what the entries teach. No network."""
