"""The one error a person reads as a line: what is wrong and what to do about it."""

from __future__ import annotations


class PipelineError(Exception):
    """A step cannot go on; the text is one line with the cause and the fix."""
