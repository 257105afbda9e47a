"""`pesto.common.pesto`: the profiles that an algorithm runs with."""

from __future__ import annotations

import os
import re
from pathlib import Path

PESTO_WORKSPACE = os.environ.get("PESTO_WORKSPACE", f"{Path.home()}/.pesto")


class Pesto:
    """Reads PESTO_PROFILE, which PESTO sets in its images to `version[-profile]...`."""

    @staticmethod
    def get_profile() -> str:
        return os.environ.get("PESTO_PROFILE", "")

    @staticmethod
    def is_profile_active(profile: str) -> bool:
        """Whether `profile` is one of the parts of PESTO_PROFILE.

        PESTO takes any part of the text (`gpu` is active in `1.0-nogpu`); here a profile has to stand by itself.
        """
        return bool(profile) and re.search(rf"(?<![^-,\s]){re.escape(profile)}(?![^-,\s])", Pesto.get_profile()) is not None
