"""Servers: the development server here, the production server through `erlen serve`."""
