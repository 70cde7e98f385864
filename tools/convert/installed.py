"""Exits 0 where this Python has what requirements.txt names, in those versions. Imports nothing of it: Paddle takes seconds."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

for line in Path(__file__).with_name("requirements.txt").read_text().split():
    name, wanted = line.split("==")
    try:
        found = version(name)
    except PackageNotFoundError:
        found = "none"
    if found.split("+")[0] != wanted:
        sys.exit(f"{name}: expected {wanted}, found {found}")
