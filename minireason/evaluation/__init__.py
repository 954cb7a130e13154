"""How well a model answers a set of questions: run its chains, keep them, score them, and replay rules for stopping a vote."""
