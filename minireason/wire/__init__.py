"""What requests of other programs mean in our words, and how replies are written for them.

There is no HTTP here: whatever reads bodies and writes replies (the server, a file of them in a
batch) has it from here. Bodies need the extra `schema`.
"""
