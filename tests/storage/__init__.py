"""Tests of the storages, on a real file system and a real S3 server."""
