"""`python -m minireason` is the `minireason` program."""

from minireason.cli.main import run

run()
