"""Clients that leave in the middle of a request, a response or a WebSocket."""
