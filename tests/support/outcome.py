"""What a call of the command line came to."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)
