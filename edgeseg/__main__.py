"""`python -m edgeseg`."""

from __future__ import annotations

import os
import sys

# Python looks for modules in the working folder first, and one there may be anybody's: a numpy.py
# beside the images would be executed. `python -P` leaves it out, from Python 3.11 on.
if not getattr(sys.flags, "safe_path", False) and sys.path[:1] in ([""], [os.getcwd()]):  # noqa: PTH109  # pathlib imports much
    del sys.path[0]

from edgeseg.cli.main import main

main()
