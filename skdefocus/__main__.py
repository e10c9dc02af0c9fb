"""``python -m skdefocus``: the command line."""

import sys

from skdefocus.cli import main

if __name__ == "__main__":
    sys.exit(main())
