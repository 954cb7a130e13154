"""Where things lie on this machine, and whether the network may be used."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

OFFLINE_VARIABLES = ("MINIREASON_OFFLINE", "HF_HUB_OFFLINE")

SWITCHED_OFF = f"the network is switched off (--offline, {' or '.join(OFFLINE_VARIABLES)})"
"""What to say where `offline` is so."""


def data_dir() -> Path:
    """The directory of models and what is known about them.

    $MINIREASON_HOME, else the platform's directory for user data.
    """
    home = os.environ.get("MINIREASON_HOME")
    if home:
        return expanded(home)
    return Path(platformdirs.user_data_dir("minireason", appauthor=False))


def models_dir() -> Path:
    """The directory of the model files themselves."""
    return data_dir() / "models"


def config_dir() -> Path:
    """The directory of the user's own models.toml and remotes.toml.

    $MINIREASON_HOME, else the platform's directory for configuration.
    """
    home = os.environ.get("MINIREASON_HOME")
    if home:
        return expanded(home)
    return Path(platformdirs.user_config_dir("minireason", appauthor=False))


def offline() -> bool:
    """Whether the environment forbids the network.

    Read at every call, while huggingface_hub reads its variable once.
    """
    return any(
        os.environ.get(name, "").strip().lower() in ("1", "true", "yes", "on")
        for name in OFFLINE_VARIABLES
    )


def expanded(name: str) -> Path:
    """A path as the shell has it, with the home directory in the place of ~.

    The ~ of a user who does not exist stays as it is.
    """
    return Path(os.path.expanduser(name))
