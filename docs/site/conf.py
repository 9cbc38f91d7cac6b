"""How Sphinx makes the site of the pages that `build.py` has prepared."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import tinygrad_nn

project = "tinygrad_nn"
author = "The tinygrad_nn authors"
copyright = "The tinygrad_nn authors, MIT licence"  # noqa: A001  Sphinx reads this name
version = release = tinygrad_nn.__version__

extensions = ["myst_nb", "mathml"]  # mathml, beside this file: formulas without a script from another host
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "tinygrad_nn"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["living.js"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"

myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_timeout = 180
nb_execution_raise_on_error = True
nb_merge_streams = True
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # a remark of the kernel's debugger is no warning of ours
