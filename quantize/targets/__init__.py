"""How a recipe becomes an artifact: one module or package for each target."""
