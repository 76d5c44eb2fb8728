"""Meaning compared: a search over a small corpus, and labels that one makes up."""
