"""The engine: registrations are compiled to a program, which runs requests."""
