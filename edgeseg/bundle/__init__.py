"""The folder that travels: its manifest, its files, and how it is written whole."""
