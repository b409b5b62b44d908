"""Sphinx configuration; the build runs with warnings as errors."""

import trackmaster

project = "trackmaster"
copyright = "2026, the trackmaster authors"
author = "the trackmaster authors"
release = trackmaster.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "trackmaster"
html_static_path = ["_static"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
