"""Thin edges that carry requests in and responses out."""
