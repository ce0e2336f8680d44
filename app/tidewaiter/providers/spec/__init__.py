"""The language of provider specs, as pydantic models: every key is here, and every key is used."""
