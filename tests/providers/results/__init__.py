"""Links, lists and files."""
