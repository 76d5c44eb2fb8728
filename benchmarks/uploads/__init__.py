"""Large uploads: the memory that they take, and how long they keep an event loop waiting."""
