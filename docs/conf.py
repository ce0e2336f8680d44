"""How Sphinx builds the documentation: `make docs`."""

from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

from tidewaiter import __version__

project = "Tidewaiter"
author = "The Tidewaiter authors"
version = release = __version__
html_title = "Tidewaiter"

extensions = ["myst_parser"]
myst_heading_anchors = 4  # links to headings are written as the forges understand them: page.md#the-heading

html_theme = "furo"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "monokai"


def setup(app: Sphinx) -> None:
    """Sphinx calls it."""
    app.connect("doctree-read", unlink_what_is_outside)


def unlink_what_is_outside(app: Sphinx, doctree: nodes.document) -> None:
    """Turn links to files of the repository that are no pages into text; a file that there is not stays an error."""
    folder = (Path(app.srcdir) / app.env.docname).parent
    for link in list(doctree.findall(pending_xref)):
        target = (folder / link["reftarget"]).resolve()
        is_file = target.exists() or target.with_name(f"{target.name}.md").exists()
        if is_file and not target.is_relative_to(app.srcdir):
            link.replace_self(link.children)
