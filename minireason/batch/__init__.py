"""A file of questions in, a file of replies out: JSON lines, resumable, memory flat."""
