"""Whether what is known of the log is fresh enough to count. Pure."""

from broker.wire.rules import HOUR_US

AHEAD_US = HOUR_US  # so far may our clock, or the witnesses', be off


def stale(age_us: int | None, *, max_age_us: int) -> str | None:
    """Return why what was witnessed `age_us` ago does not count, in a line for the owner; None if it does."""
    if age_us is None:
        return "the public log was not read to its end yet"
    if age_us < -AHEAD_US:
        return (
            f"the clock is before the time at which the public log was last witnessed, by {-age_us // HOUR_US} h:"
            " nothing is offered or sent until it is set right"
        )
    if age_us > max_age_us:
        return (
            f"the public log was last witnessed {age_us // HOUR_US} h ago, and {max_age_us // HOUR_US} h are"
            " allowed: nothing is offered or sent until its witnesses are heard again"
        )
    return None
