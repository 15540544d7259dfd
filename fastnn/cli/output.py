"""An output stream that may fail before the program ends."""

from __future__ import annotations

from typing import Any


class Output:
    """Wraps a stream, or None; once writing to it fails, all further output is dropped.

    Attributes
    ----------
    error : the exception when it failed, or None.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write a text if the stream has not failed."""
        self._do("write", text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream if it has not failed."""
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
