"""What is wrong with a spec although each of its values is well formed."""
