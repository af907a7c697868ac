"""How published accuracy was measured, step by step, and what an image's size costs and gives."""

from __future__ import annotations
