"""Encoders that turn a table into numbers without reading sensitive training cells."""

from ._encoder import TableEncoder

__all__ = ["TableEncoder"]
