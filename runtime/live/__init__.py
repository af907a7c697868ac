"""The live pipeline: it takes the newest frame and measures its age."""
