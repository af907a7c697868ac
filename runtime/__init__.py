"""Runs a bundle live: needs numpy, Pillow, msgspec, any installed OpenCV, and one engine."""
