"""The configuration's files: what is written, shown and described of it."""
