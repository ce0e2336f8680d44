"""The alert rules in `config/alerts`, checked against what the program logs and measures."""
