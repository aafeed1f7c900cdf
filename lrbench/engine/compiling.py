"""What torch.compile needs of a machine."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec

COMPILERS = ("c++", "g++", "clang++")


def missing_compiler(*, on_cuda: bool) -> str:
    """What it would need and this machine has not; empty where nothing is missing."""
    if on_cuda and find_spec("triton") is None:
        return "needs triton"
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), *COMPILERS)):
        return "needs a C++ compiler"
    return ""
