"""OpenAI's API: its routes, and what `minireason.wire.openai` does not know of it."""
