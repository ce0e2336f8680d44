"""Parts of the HTML of a page."""


def field_of(text: str, name: str) -> str:
    """The HTML of one field of a form."""
    return next(part for part in text.split('<div class="field')[1:] if f'name="{name}"' in part)
