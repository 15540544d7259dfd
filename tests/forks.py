"""Forked children, for the programs that tests run in a process of their own."""

from __future__ import annotations

import os
import warnings


def in_child(works):
    """Raise unless ``works()`` is true in a forked child."""
    warnings.simplefilter("ignore")  # of Python 3.12 on, about forking with threads
    child = os.fork()
    if child == 0:
        os._exit(0 if works() else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
