"""`python -m minireason` is the `minireason` program."""

import sys

# -m puts the folder where the user stands ahead of all others, the standard library included.
# From here on nothing is imported from it. What came before (Python's own start, and this package
# if that folder has one of its name) Python had already taken from there: in a stranger's folder
# use the program `minireason`, or python -P -m minireason.
if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]

from minireason.cli.start import run

run()
