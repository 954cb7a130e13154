"""What the slash commands do, by the noun they act on; `commands.py` has the table of them."""
