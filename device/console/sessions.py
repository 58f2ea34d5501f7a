"""Who may speak to the console: one-time links, and the session tokens that they are exchanged for. Pure.

Only hashes are kept: whoever sees them can open nothing. They outlive a lock, so that the tab that locked the console
can unlock it again. A link is for once and for minutes; a session ends when it was not used for hours.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

SECRET_BYTES = 32
LINK_US = 5 * 60 * 1_000_000
SESSION_US = 12 * 3_600 * 1_000_000
MOST_LINKS = 8
MOST_SESSIONS = 32
_RENEW_US = 60 * 1_000_000  # a session's last use is kept to the minute
Random = Callable[[int], bytes]


class LinkError(Exception):
    """A link does not open the console; the message is one line for a person."""


@dataclass(slots=True)
class Sessions:
    """The links that were given out and not used, and the sessions that were opened; by hash, with times in µs."""

    links: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)

    def make_link(self, random: Random, now_us: int) -> str:
        """Return the secret of a new link; the oldest one goes if there are too many."""
        secret = random(SECRET_BYTES).hex()
        self._forget(now_us)
        while len(self.links) >= MOST_LINKS:
            del self.links[min(self.links, key=self.links.__getitem__)]
        self.links[_hash(secret)] = now_us + LINK_US
        return secret

    def open(self, secret: str, random: Random, now_us: int) -> str:
        """Exchange a link for a session's token; raises LinkError if the link was used, is old, or never was."""
        self._forget(now_us)
        if self.links.pop(_hash(secret), None) is None:
            raise LinkError(
                "this link was used already, or is older than five minutes;"
                " press Enter where the console runs for another"
            )
        token = random(SECRET_BYTES).hex()
        while len(self.tokens) >= MOST_SESSIONS:
            del self.tokens[min(self.tokens, key=self.tokens.__getitem__)]
        self.tokens[_hash(token)] = now_us
        return token

    def known(self, token: str, now_us: int) -> bool:
        """Tell whether a token is that of a session, and keep the session alive."""
        self._forget(now_us)
        key = _hash(token)
        last_us = self.tokens.get(key)
        if last_us is None:
            return False
        if now_us - last_us > _RENEW_US:
            self.tokens[key] = now_us
        return True

    def _forget(self, now_us: int) -> None:
        self.links = {key: until_us for key, until_us in self.links.items() if until_us > now_us}
        self.tokens = {key: last_us for key, last_us in self.tokens.items() if last_us > now_us - SESSION_US}


def _hash(secret: str) -> str:
    # A secret is 32 random bytes: looking its hash up in a table tells nobody anything by how long it takes.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
