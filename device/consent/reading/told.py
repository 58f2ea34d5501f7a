"""What the daemon has read, told to the owner's own process, which checks what can be checked without reading it all.

The operator's signature on the admission, the agency's on the request, and the proof under the pinned policy are
checked there again. That nothing newer stands in the log is the daemon's word. Pure.
"""

from collections.abc import Mapping
from typing import Any

from broker.wire.encoding import WireError, from_base64, to_base64
from broker.wire.records import Update

from .kept import Logged
from .register import Admission, Standing


def tell(*, size: int, admission: Admission, logged: Logged) -> dict[str, Any]:
    """Return as JSON what a request is judged by."""
    return {
        "size": size,
        "admission": {"index": admission.index, "envelope": to_base64(admission.envelope)},
        "index": logged.index,
        "earlier_posts": logged.earlier_posts,
        "open_before": logged.open_before,
        "closed": logged.closed,
        "updates": [to_base64(update.payload()) for update in logged.updates],
    }


class ToldView:
    """One request's surroundings in the log, as they were told.

    Raises WireError if the admission is not the operator's, or the form is another.
    """

    def __init__(self, told: Mapping[str, Any], *, leaf: str, operator_key: bytes) -> None:
        try:
            self.size = int(told["size"])
            self._leaf = leaf
            self._admission = Admission.open(
                int(told["admission"]["index"]),
                from_base64(told["admission"]["envelope"]),
                operator_key=operator_key,
            )
            self._logged = Logged(
                index=int(told["index"]),
                earlier_posts=int(told["earlier_posts"]),
                open_before=int(told["open_before"]),
                closed=told["closed"],
                updates=tuple(Update.from_payload(from_base64(one)) for one in told["updates"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise WireError(f"what the device tells of the log does not hold: {error}") from error

    def standing(self, agency: str, index: int) -> Standing | None:
        """Return the admission, if it is this agency's and stands before the entry."""
        found = self._admission
        return found if found.agency.agency == agency and found.index < index else None

    def request(self, leaf: str) -> Logged | None:
        """Return the request, if it is this one."""
        return self._logged if leaf == self._leaf else None
