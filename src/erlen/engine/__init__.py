"""The engine: routing, compilation and the life of a request."""
