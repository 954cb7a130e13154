"""OpenAI's API: bodies -> calls, outcomes -> its JSON and events."""
