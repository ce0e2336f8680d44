"""The database: jobs, their history and artifacts, lanes and their leases; one semantics on SQLite and PostgreSQL."""
