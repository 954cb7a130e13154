"""OpenAI's API: bodies of requests -> calls, replies -> its JSON and events."""
