"""Tokens of a language model, streamed through a proxy that keeps the key to a page."""
