"""The two error classes that decide everything, and their finer kinds."""

from __future__ import annotations

from connectors.base.redaction import mask


class ConnectorError(Exception):
    """Base of all errors of a connector; secrets in its text are masked at birth."""

    def __init__(self, message: str) -> None:
        super().__init__(mask(message))

    def __str__(self) -> str:
        # Masked once more: a secret may have become known after the error was made.
        return mask(super().__str__())


class RetriableError(ConnectorError):
    """May go well a little later: the client retries it, then lets it out.

    `retry_after` is what the vendor asked us to wait, in seconds, if it did. `is_spent`:
    tried again often enough already, by whoever raised it.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        is_spent: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.is_spent = is_spent


class FatalError(ConnectorError):
    """Will not go well by itself: its text tells the owner what to do."""


class TokenExpired(ConnectorError):
    """The vendor says that the access token has run out (401, or in a 200's body).

    The client renews the token and repeats the request, once; where tokens are not
    renewed, or are refused again, it lets a FatalError out instead.
    """


class ConfigError(FatalError):
    """Wrong settings, found before any request: names the field and the fix."""


class AccessError(FatalError):
    """The vendor does not let us in: no other stream of the account will do better."""


class ParseError(FatalError):
    """The vendor's answer does not fit the contract."""
