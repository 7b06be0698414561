"""Record what a client asks and is answered, in a file that people can read, and replay it without a network."""

from __future__ import annotations

from .matching import Matcher
from .recorder import Recorder
from .redaction import Redaction
from .tape import Mode, NotRecorded

__all__ = ["Matcher", "Mode", "NotRecorded", "Recorder", "Redaction"]

for _public in (NotRecorded, Recorder, Redaction):
    # Where programs import it from, for tracebacks, reprs and pickles.
    _public.__module__ = "scallion.testing"
