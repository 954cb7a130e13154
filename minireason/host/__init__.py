"""This machine: what the operating system gives and how it is used safely."""
