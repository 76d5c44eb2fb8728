"""Handwritten digits, recognised: a small model, a JSON endpoint and a page to draw on."""
