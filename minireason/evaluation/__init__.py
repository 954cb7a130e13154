"""How well a model answers a set of questions.

Its chains are run, kept and scored, and rules of early stopping are replayed on them.
"""
