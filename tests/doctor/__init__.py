"""The doctor, on real servers, files and databases."""
