"""The device and the operator's own book, made by different rooms, say the same of one log."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from broker.log.history.book import Book
from broker.log.history.query import Status
from broker.log.intake import Accepted, decide
from broker.wire.encoding import WireError
from broker.wire.envelopes import public_bytes
from broker.wire.records import Agency, Revocation, Update
from broker.wire.rules import DAY_US, HOUR_US, MINUTE_US, Limits
from device.consent.reading.register import Admission
from tests.consent.support import followed, read_on
from tests.simulators import NOW_US, LogSimulator, NeighbourhoodSimulator, signing_key

LIMITS = Limits(open_per_agency=3)
AGENCIES = 2
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "withdrawn", "resolved", "answered", "revoke", "admit"]),
        st.integers(0, AGENCIES - 1),
        st.integers(0, 30),
        st.sampled_from([MINUTE_US, HOUR_US, 2 * DAY_US]),
    ),
    max_size=25,
)


class Operator:
    """Logs what the intake accepts, and keeps the book."""

    def __init__(self) -> None:
        self.hood = NeighbourhoodSimulator()
        self.log = self.hood.log
        self.book = Book()
        self.book.apply(0, self.log.entries[0])
        self.now_us = NOW_US
        self.leaves: list[str] = []
        self.keys = {f"agency-{number}": 30 + number for number in range(AGENCIES)}

    def offer(self, envelope: bytes) -> bool:
        decision = decide(
            envelope,
            self.book,
            operator_key=public_bytes(self.hood.operator),
            limits=LIMITS,
            now_us=self.now_us,
        )
        if not isinstance(decision, Accepted):
            return False
        self.book.apply(self.log.append(envelope), envelope)
        return True

    def take(self, step: str, agency: str, number: int) -> None:
        key = signing_key(self.keys[agency])
        if step == "admit":
            # Often the very key that was in force; after a revocation that is refused.
            seed = self.keys[agency] + (number % 3) * 10
            record: Agency = self.hood.agency.model_copy(
                update={"agency": agency, "key": public_bytes(signing_key(seed)), "admitted_at": self.now_us}
            )
            if self.offer(record.sign(self.hood.operator)):
                self.keys[agency] = seed
        elif step == "revoke":
            self.offer(
                Revocation(agency=agency, at=self.now_us, revoked_by="The operator", reason="Why").sign(
                    self.hood.operator
                )
            )
        elif step == "ask":
            changes: dict[str, Any] = {
                "agency": agency, "case": f"case {number % 3}", "purpose": f"purpose {number}",
                "posted_at": self.now_us, "start": self.now_us - HOUR_US, "end": self.now_us - MINUTE_US,
                "expires_at": self.now_us + (1 + number % 3) * DAY_US,
            }  # fmt: skip
            if self.offer(self.hood.request(**changes).sign(key)):
                self.leaves.append(self.log.logged(len(self.log.entries) - 1).leaf)
        elif self.leaves:
            leaf = self.leaves[number % len(self.leaves)]
            said = Update(agency=agency, request=leaf, kind=step, note="Said.", at=self.now_us)  # type: ignore[arg-type]
            self.offer(said.sign(key))


@given(STEPS)
def test_the_device_reads_what_the_operator_keeps(story: list[tuple[str, int, int, int]]) -> None:
    """Of every request both say what it is, how often its case was posted, and under which admission it stands."""
    operator = Operator()
    for number in range(AGENCIES):
        operator.take("admit", f"agency-{number}", 0)
    with followed(operator.hood, read=False) as follower:
        for step, agency, number, passes_us in story:
            operator.take(step, f"agency-{agency}", number)
            operator.now_us += passes_us
            if number % 5 == 0:
                read_on(follower, operator.log)
        read_on(follower, operator.log)
        for leaf in operator.leaves:
            posted, logged = operator.book.request(leaf), follower.request(leaf)
            assert posted is not None
            assert logged is not None
            closed = str(operator.book.status(leaf, 0))  # before everything: only what closed it shows
            if operator.book.status(leaf, operator.now_us) is Status.EXPIRED and logged.closed == "revoked":
                closed = "revoked"  # by its place in the log, on a device, whose clock may be behind
            assert (logged.closed or "open") == closed
            assert (logged.index, logged.earlier_posts) == (posted.index, posted.post - 1)
            assert logged.open_before < LIMITS.open_per_agency
            assert [said.update for said in operator.book.updates_of(leaf)] == list(logged.updates)
            standing = follower.standing(posted.request.agency, posted.index)
            assert standing is not None
            assert standing.index == posted.admission.index
        for name in operator.keys:
            ours, theirs = follower.record(name), operator.book.record_of(name, now_us=0)
            assert (ours.asked, round(ours.mean_area_m2)) == (theirs.asked, round(theirs.mean_area_m2))
            withdrawn = sum(count for status, count in theirs.by_status.items() if status == "withdrawn")
            assert ours.withdrawn == withdrawn
        assert follower.kept.void == 0


DATES = st.sampled_from([-400 * DAY_US, -2 * DAY_US, -MINUTE_US, 0, 0, 0, MINUTE_US, 2 * DAY_US, 400 * DAY_US])
LIES = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "withdrawn", "withdrawn", "revoke", "admit", "admit", "abroad", "again"]),
        st.integers(0, AGENCIES - 1),
        st.integers(0, 30),
        DATES,
        st.sampled_from([MINUTE_US, 2 * DAY_US]),
    ),
    max_size=25,
)


class MaliciousOperator(Operator):
    """Logs whatever it likes, at whatever dates; the public reads it as it stands, by the keys shown last."""

    def __init__(self, *, witnesses: int) -> None:
        super().__init__()
        self.hood.log.witnesses = LogSimulator(witnesses=witnesses).witnesses
        self.seeds = {public_bytes(signing_key(seed)): seed for seed in self.keys.values()}

    def offer(self, envelope: bytes) -> bool:
        index = self.log.append(envelope)
        try:
            self.book.apply(index, envelope)
        except WireError:
            self.book.skip()
            return False
        return True

    def lie(self, step: str, name: str, number: int, off_us: int) -> None:
        seed = self.keys[name] + (number % 3) * 10
        self.seeds[public_bytes(signing_key(seed))] = seed
        if step == "again":
            self.offer(self.log.entries[number % len(self.log.entries)])
            for each in self.keys:
                admitted = self.book.agency(each)
                if admitted is not None:
                    self.keys[each] = self.seeds[admitted.agency.key]
        elif step == "abroad":
            self.hood.agency = self.hood.agency.model_copy(update={"contact": "someone@elsewhere.example"})
            self.take("admit", name, number)
            self.hood.agency = self.hood.agency.model_copy(update={"contact": "a@police.springfield.example"})
        else:
            if step == "withdrawn" and self.leaves:  # of another agency's request nobody believes it
                posted = self.book.request(self.leaves[number % len(self.leaves)])
                name = name if posted is None else posted.request.agency
            self.now_us += off_us
            self.take(step, name, number)
            self.now_us -= off_us


@given(LIES, st.integers(0, 1))
def test_what_the_public_sees_taken_back_no_device_offers(
    story: list[tuple[str, int, int, int, int]], witnesses: int
) -> None:
    """Whatever is logged, in whatever order: what is withdrawn or revoked by the book is closed or unknown here."""
    operator = MaliciousOperator(witnesses=witnesses)
    for number in range(AGENCIES):
        operator.take("admit", f"agency-{number}", 0)
    with followed(operator.hood, read=False) as follower:
        for step, agency, number, off_us, passes_us in story:
            operator.lie(step, f"agency-{agency}", number, off_us)
            operator.now_us += passes_us
            if number % 5 == 0:
                read_on(follower, operator.log)
        read_on(follower, operator.log)
        assert follower.size == len(operator.log.entries)
        for leaf in operator.leaves:
            logged = follower.request(leaf)
            if operator.book.status(leaf, 0) is not Status.OPEN:
                assert logged is None or logged.closed is not None
        for name in operator.keys:
            if operator.book.agency(name) is None:
                assert not isinstance(follower.standing(name, follower.size), Admission)
