"""Bundle to masks, live: numpy, Pillow, msgspec, whichever OpenCV is there, and one engine."""
