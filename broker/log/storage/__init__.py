"""Where a log's files are kept: a folder, or a bucket of an S3-compatible store, behind one interface."""
