"""The recipes of docs/recipes, each against the real orchestrator in an environment of its own: ``make recipes``."""
