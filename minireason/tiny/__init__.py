"""The built-in demonstration model; CARD.md says what it is and is not."""
