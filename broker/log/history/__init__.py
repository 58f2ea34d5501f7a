"""What the log says so far, derived from its entries and kept in SQLite; and the counts of what it refused."""
