"""Recipes, INT8 graphs, and the search for the fastest that is accurate enough."""
