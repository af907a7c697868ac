"""The ground truth of one image: a file of ids, a file of colors, or shapes."""
