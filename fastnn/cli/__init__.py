"""The command ``fastnn``."""

from fastnn.cli.program import main as main
