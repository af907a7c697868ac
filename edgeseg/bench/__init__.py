"""Measures how fast a bundle is: its network alone, and from frame to mask."""
