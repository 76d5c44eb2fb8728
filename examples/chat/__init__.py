"""A chat in the browser: WebSockets, several processes, Redis between them."""
