"""Tests of fastnn, file by file as the package has them, and of its reference."""
