"""Two tokens: one of an admin, and one that may submit jobs of a single account."""

TOKENS = """
[tokens.boss]
role = "admin"
token_file = "boss.token"
[tokens.one]
role = "submit"
token_file = "one.token"
accounts = ["quay"]
"""
ONE = "one-token-one-token-one-token"
