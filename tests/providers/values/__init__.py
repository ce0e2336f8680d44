"""Templates, expressions and texts."""
