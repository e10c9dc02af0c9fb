"""Settings of the site; ``python -m sphinx -W docs docs/_build`` builds it, without a network."""

import os
import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

os.environ.setdefault("MPLBACKEND", "agg")
sys.path.insert(0, str(Path(__file__).parents[1]))

import skdefocus

project = "skdefocus"
author = "The skdefocus developers"
copyright = author
version = release = skdefocus.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates", "examples"]
templates_path = ["_templates"]
suppress_warnings = ["config.cache"]  # sphinx-gallery's settings hold functions

# The page's own parts and those of what it includes begin at different depths.
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # types stand in the docstrings, with shapes and units
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

#: What a newcomer asks first comes first; others follow by name.
FIRST = ["map", "fusion", "magnification", "sharpening", "sort_folder", "features", "grid_search"]


class Order:
    """Sort key of the gallery."""

    def __init__(self, src_dir):
        """Take no notice of the folder."""

    def __call__(self, filename):
        """Position of a file."""
        name = Path(filename).stem.removeprefix("plot_")
        return (FIRST.index(name) if name in FIRST else len(FIRST), name)


def enlarge_text(gallery_conf, fname):
    """Keep figures of the gallery readable on a telephone, where they are 400 pixels wide."""
    import matplotlib as mpl

    mpl.rcParams.update({"font.size": 13, "axes.titlesize": 14, "legend.fontsize": 12})


sphinx_gallery_conf = {
    "reset_modules": ("matplotlib", enlarge_text),
    "within_subsection_order": Order,
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_",
    "abort_on_example_error": True,
    "download_all_examples": True,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "backreferences_dir": None,
    "image_srcset": [],
    "matplotlib_animations": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "skdefocus"
html_static_path = ["_static"]
html_css_files = ["skdefocus.css"]
html_show_sourcelink = False
html_sidebars = {"quickstart": [], "tutorials/*": [], "gallery/index": []}
html_copy_source = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["version"],
    # The list of versions lies at the root of the site, next to the folders of the versions. It is
    # read by the browser; nothing is fetched while the site is built.
    "switcher": {"json_url": "_static/switcher.json", "version_match": version},
    "check_switcher": False,
    "navbar_persistent": ["search-button"],
    "navbar_end": ["version-switcher", "theme-switcher"],
    "show_toc_level": 2,
}
html_math_renderer = "mathml"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"


def keep_bars(app, what, name, obj, options, lines):
    """Let bars in docstrings mean absolute values, not reStructuredText's substitutions."""
    code = re.compile(r"(``.*?``|`[^`]*`|^ *(?:>>>|\.\.\.) .*?$)", re.DOTALL | re.MULTILINE)
    parts = code.split("\n".join(lines))
    parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
    lines[:] = "".join(parts).split("\n")


def visit_math(self, node):
    """Write a formula as MathML, which browsers set by themselves: no script, no network."""
    block = isinstance(node, nodes.math_block)
    formula = tex2mathml(node.astext().replace("·", r"\cdot "))
    if block:
        formula = formula.replace("<math", '<math display="block"', 1)
        formula = f'<div class="math">{formula}</div>'
    self.body.append(formula)
    raise nodes.SkipNode


def setup(app):
    app.connect("autodoc-process-docstring", keep_bars)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math, None))
