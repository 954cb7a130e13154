"""The HTTP server (extra `server`): requests of other programs, answered by the models here.

Life of a request: `guard` looks at host, origin, key and size; a module of an API makes a `Call` of
its body, by `minireason.wire` where that knows it; `answering` opens it on a model of `models` and
lets the API's `Wire` write what comes.
"""
