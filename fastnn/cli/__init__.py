"""The command line."""


def main() -> int:
    """Not written yet."""
    raise SystemExit("the command line is not there yet")
