"""Erlen beside its peers; every gate is a ratio within one run."""
