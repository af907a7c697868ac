"""Makes INT8 graphs from recipes, and searches for the fastest that is accurate enough."""
