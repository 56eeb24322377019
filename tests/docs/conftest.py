"""CrewAI, which some pages show, tells nobody of it, and keeps what it keeps out of the home."""

from __future__ import annotations

import os
import tempfile

os.environ.update({
    "CREWAI_DISABLE_TELEMETRY": "true", "CREWAI_DISABLE_TRACKING": "true", "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true", "CREWAI_TESTING": "true", "OTEL_SDK_DISABLED": "true",
    "CREWAI_STORAGE_DIR": tempfile.mkdtemp(), "OPENAI_API_KEY": "none",
})  # fmt: skip
