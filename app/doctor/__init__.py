"""The doctor: tries what a configuration names, and says of each thing whether it works, and what mends it if not."""
