"""The same applications on Erlen and on the real Flask, in one process."""
