"""The chat: reading.py takes what is typed, loop.py asks and shows, commands.py does the rest."""
