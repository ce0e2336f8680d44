"""The ready-made alerts, held to what the program really says."""
