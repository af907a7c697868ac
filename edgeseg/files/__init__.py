"""Files: written whole, locked, signed, and found in the home folder."""
