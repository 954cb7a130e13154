"""What a caller may ask for: how to generate, how to vote and how to load.

Every default is written at its field, and nowhere else.
"""

from __future__ import annotations

from minireason.settings.load import KvType as KvType
from minireason.settings.load import LoadChanges as LoadChanges
from minireason.settings.load import LoadSettings as LoadSettings
from minireason.settings.load import SpeculationMode as SpeculationMode
from minireason.settings.reply import EFFORT_TOKENS as EFFORT_TOKENS
from minireason.settings.reply import LANDING as LANDING
from minireason.settings.reply import MAX_SEED as MAX_SEED
from minireason.settings.reply import MAX_TOKENS as MAX_TOKENS
from minireason.settings.reply import ChainChanges as ChainChanges
from minireason.settings.reply import Changes as Changes
from minireason.settings.reply import Effort as Effort
from minireason.settings.reply import Settings as Settings
from minireason.settings.reply import kept as kept
from minireason.settings.reply import layered as layered
from minireason.settings.vote import SolveChanges as SolveChanges
from minireason.settings.vote import StopRule as StopRule
from minireason.settings.vote import VoteChanges as VoteChanges
from minireason.settings.vote import VoteSettings as VoteSettings
