"""Flask's own tests run against Erlen, and the check that Erlen's code is its own."""
