"""What a reply says: its values, rules, waits, limits and messages."""
