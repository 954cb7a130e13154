"""The HTTP server: other servers' wire formats <-> messages, settings, events (extra `server`).

Life of a request: `guard` looks at host, origin, key and size; a module of an API makes a `Call` of
its body; `answering` opens it on a model of `models` and lets the API's `Wire` write what comes.
"""
