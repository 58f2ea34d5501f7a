"""A mirror, anybody's: it fetches, checks and serves every entry of a log, and cosigns what it serves."""
