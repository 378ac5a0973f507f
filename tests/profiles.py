"""How hard property tests look: ``HYPOTHESIS_PROFILE=nightly`` for long runs."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

DEADLINE = 1000
SLOW = [HealthCheck.too_slow]

settings.register_profile(
    "ci", max_examples=300, deadline=DEADLINE, derandomize=True, suppress_health_check=SLOW
)
settings.register_profile(
    "nightly", max_examples=10_000, deadline=DEADLINE, suppress_health_check=SLOW
)
PROFILE = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
