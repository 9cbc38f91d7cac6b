"""Lets Python run the package: `python -m tinygrad_nn` where it is installed, `python3 tinygrad_nn` in a bare clone.

The second form runs this file without importing the package, so it works before NumPy or anything else is installed.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  # an old Python can read this file, and says so without a traceback
    sys.exit("tinygrad_nn needs Python 3.11 or newer; " + sys.executable + " is Python " + sys.version.split()[0])

if __package__:
    from tinygrad_nn.cli import main
else:
    from _bootstrap import main  # type: ignore[import-not-found, no-redef]  # beside this file, which Python runs from

sys.exit(main())
