"""The protocol by which a job gets its remote job, as a model; and the real thing held against it."""
