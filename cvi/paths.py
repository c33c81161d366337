"""Where things are kept: `$CVI_HOME`, or the platform's user data folder."""

from __future__ import annotations

import os
from pathlib import Path

from cvi.errors import UsageError


def home() -> Path:
    """The data folder. Read from the environment at each call, never at import. Raises UsageError."""
    override = os.environ.get("CVI_HOME")
    if override:
        try:
            folder = Path(override).expanduser().absolute()
        except RuntimeError:
            raise UsageError(f"CVI_HOME={override} names a user that is not here.", "Give a path.") from None
        if os.path.isfile(folder):  # noqa: PTH113 (Path.is_file raises for a name that is too long)
            raise UsageError(f"CVI_HOME={override} is a file.", "Give the path of a folder.")
        return folder
    import platformdirs

    return Path(platformdirs.user_data_dir("cvi", appauthor=False))


def user_path(text: str | Path) -> Path:
    """A path that somebody gave, `~` and `~name` being home folders where there is such a user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def models_dir() -> Path:
    """Where `cvi models pull` puts models, one folder each."""
    return home() / "models"


def conversations_dir() -> Path:
    """One folder a conversation: its journal, and the recording where one was made."""
    return home() / "conversations"


def personas_dir() -> Path:
    """The user's own persona files."""
    return home() / "personas"


def replicas_dir() -> Path:
    """The user's own replicas, one folder each."""
    return home() / "replicas"


def shared_dir(kind: str) -> Path:
    """The folder of personas or replicas that ship with the package (`kind` names which).

    In a checkout they lie beside the package, in an installed wheel inside it.
    """
    package = Path(__file__).parent
    packed = package / "_share" / kind
    return packed if packed.is_dir() else package.parent / kind
