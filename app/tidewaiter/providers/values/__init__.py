"""Values and texts of a spec: templates, expressions, addresses and conversions, without requests and replies."""
