"""How hard property tests look: ``HYPOTHESIS_PROFILE=nightly`` for long runs."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

DEADLINE = 20_000  # milliseconds: not a timing, but an end to what explodes
SLOW = [HealthCheck.too_slow]

settings.register_profile(
    "ci", max_examples=300, deadline=DEADLINE, derandomize=True, suppress_health_check=SLOW
)
settings.register_profile(
    "nightly", max_examples=10_000, deadline=DEADLINE, suppress_health_check=SLOW
)
# Everything else: small examples, on machines too noisy for deadlines.
settings.register_profile("plain", deadline=None, suppress_health_check=SLOW)
settings.load_profile("plain")
NIGHTLY = settings.get_profile("nightly")
PROFILE = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
