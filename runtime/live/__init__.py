"""The live pipeline: the newest frame wins, and its age is measured."""
