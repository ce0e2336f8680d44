"""The page ``docs/providers/reference.md``, made from the tables of the spec language."""
