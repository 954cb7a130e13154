"""Which model, where it lies, and whether it fits."""
