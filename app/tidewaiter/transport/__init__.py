"""HTTP to providers and file hosts: one wire, the account's budget, its credentials, and the guard at the socket."""
