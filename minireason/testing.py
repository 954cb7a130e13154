"""For tests of programs that use minireason: a model that says what was written for it.

from minireason import Reasoner
from minireason.testing import ScriptedBackend, ScriptedReply

reasoner = Reasoner(ScriptedBackend([ScriptedReply(thinking="6 * 7 = 42.", answer="42")]))
assert reasoner.ask("What is 6 times 7?").answer == "42"
"""

from minireason.backends.scripted import Script, ScriptedBackend, ScriptedRequest, Written
from minireason.backends.scripted_reply import ScriptedReply

__all__ = ["Script", "ScriptedBackend", "ScriptedReply", "ScriptedRequest", "Written"]
