"""Flask's API on a compiled engine."""
