"""Whole servers under load: one worker on one core, what asks it on another."""
