"""An output that may end before the program does."""

from __future__ import annotations

from typing import Any


class Output:
    """A stream, or none, as it was, until writing to it fails; what is written from then on is dropped.

    Attributes
    ----------
    error : why it failed, or None.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write, if that can still be done."""
        self._do("write", text)
        return len(text)

    def flush(self) -> None:
        """Hand on what has been written, if that can still be done."""
        self._do("flush")

    def _do(self, action: str, *arguments: str) -> None:
        if self._stream is None or self.error is not None:
            return
        try:
            getattr(self._stream, action)(*arguments)
        except OSError as error:
            self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
