"""Every target by its name."""

from tests.fuzz import notes, records, rooms
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {one.name: one for one in (*notes.TARGETS, *records.TARGETS, *rooms.TARGETS)}
