"""Templates that users write themselves, run where they can do no harm."""
