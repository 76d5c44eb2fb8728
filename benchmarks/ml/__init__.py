"""Models behind HTTP: batched by Erlen, beside what serves models without batching and with it."""
