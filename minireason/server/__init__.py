"""The HTTP server (extra `server`): wire formats of others <-> messages, settings and events.

Life of a request: `guard` looks at host, origin, key and size; a module of an API makes a `Call` of
its body; `answering` opens it on a model of `models` and lets the API's `Wire` write what comes.
"""
