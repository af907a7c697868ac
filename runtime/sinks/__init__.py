"""Where results go. Each output is whole under its final name, or not there."""
