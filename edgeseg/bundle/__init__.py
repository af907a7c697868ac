"""The bundle: its manifest, its files, and how it is written whole."""
