"""A neighbourhood that asked: four agencies and some sixty requests over a year and a half, always the same ones."""

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from broker.log.service import LogService, Submitted
from broker.wire.deletions import DeletionsAsked
from broker.wire.envelopes import public_bytes
from broker.wire.geo import E7
from broker.wire.records import EXCLUDED_PURPOSES, Request
from broker.wire.rules import DAY_US, HOUR_US, MINUTE_US
from tests.log.support import (
    NOW_US,
    OPERATOR,
    RECIPIENT,
    Clock,
    admission,
    key_of,
    make_service,
    refusals,
    revocation,
    update,
)

URL = "http://feed.example.org"
CENTRE = (52.5163, 13.3777)
OPERATOR_NAME = "Neighbourhood of Springfield, registry office"
AGENCIES = {
    "springfield-pd": ("Springfield Police Department", "police.springfield.example.gov"),
    "county-sheriff": ("Greene County Sheriff's Office", "sheriff.greene.example.gov"),
    "springfield-fire": ("Springfield Fire Marshal", "fire.springfield.example.gov"),
    "transit-police": ("Tri-County Transit Police", "police.transit.example.org"),
}
STORIES: Sequence[tuple[str, str, str]] = (
    (
        "package-theft",
        "Parcels were taken from several porches by a person on a red cargo bicycle.",
        "Identify who took the parcels",
    ),
    (
        "hit-and-run",
        "A grey van struck a cyclist at the crossing and drove on towards the station. Its right mirror is missing.",
        "Identify the van",
    ),
    (
        "vehicle-break-in",
        "Three parked cars had a window broken during the night; bags were taken.",
        "Establish when it happened, and by whom",
    ),
    (
        "burglary",
        "A ground floor flat was entered through the garden door while its owners were away.",
        "Establish when the door was forced",
    ),
    (
        "missing-person",
        (
            "A man of 82 left his home in slippers and a blue cardigan, and has not come back.\n"
            "He answers to Walter, and walks slowly."
        ),
        "Find out which way he went",
    ),
    ("vandalism", "The windows of the school library were smashed with stones.", "Identify who threw them"),
    (
        "robbery",
        "Two people took a telephone from a passer-by at knife point, and ran towards the park.",
        "Identify the two",
    ),
    (
        "vehicle-theft",
        "A white delivery van was driven off while its driver rang at a door.",
        "See where the van went",
    ),
    ("arson", "A row of waste bins was set on fire behind the supermarket.", "Establish who was at the bins"),
    (
        "traffic-collision",
        "A tram and a lorry collided at the junction. Nobody was hurt.",
        "Reconstruct the collision",
    ),
)


def agency_admission(agency: str, *, now_us: int, **changes: Any) -> bytes:
    name, domain = AGENCIES[agency]
    values: dict[str, Any] = {
        "name": name,
        "domain": domain,
        "contact": f"records@{domain}",
        "agency_key": public_bytes(key_of(agency)),
        "admitted_by": OPERATOR_NAME,
        "evidence": "Letter of the city clerk, and a call to the number on the city's web site",
    }
    return admission(agency, now_us=now_us, **(values | changes))


def agency_request(agency: str, *, at_us: int, chance: random.Random, number: int) -> Request:
    incident, description, purpose = STORIES[number % len(STORIES)]
    hours = chance.choice((1, 2, 3, 6, 10))
    end_us = at_us - chance.randrange(2, 60) * HOUR_US
    return Request(
        agency=agency,
        case=f"{chance.choice(('26', '25'))}-{chance.randrange(10_000, 99_999)}",
        incident=incident,
        description=description,
        contact=f"desk{number % 7}@{AGENCIES[agency][1]}",
        area=_area(chance),
        start=end_us - hours * HOUR_US,
        end=end_us,
        devices=("camera", "doorbell") if number % 3 else ("doorbell",),
        recipient=RECIPIENT,
        purpose=purpose,
        retention_days=chance.choice((30, 60, 90, 180)),
        sharing=("The district attorney",) if number % 4 == 0 else (),
        excludes=tuple(EXCLUDED_PURPOSES),
        posted_at=at_us,
        expires_at=at_us + chance.choice((7, 14, 30)) * DAY_US,
    )


def _area(chance: random.Random) -> Any:
    lat, lon = CENTRE[0] + chance.gauss(0, 0.014), CENTRE[1] + chance.gauss(0, 0.028)
    area = {
        "lat_e7": round(lat * E7),
        "lon_e7": round(lon * E7),
        "radius_m": chance.choice((150, 200, 250, 300, 400, 600)),
    }
    return Request.model_fields["area"].annotation.model_validate(area)  # type: ignore[union-attr]


async def logged(service: LogService, envelope: bytes) -> str:
    result = await service.submit(envelope)
    assert isinstance(result, Submitted), result
    return result.leaf


async def neighbourhood(folder: Path, clock: Clock, *, url: str = URL, count: int = 60) -> LogService:
    """Return a service that is started, with everything logged at its own time; the clock then stands at NOW_US."""
    chance = random.Random(7)
    service = make_service(folder, clock=clock, url=url)
    clock.now_us = NOW_US - 560 * DAY_US
    await service.start()
    for agency in AGENCIES:
        await logged(service, agency_admission(agency, now_us=clock.now_us))
        clock.now_us += HOUR_US
    leaves: list[tuple[str, str]] = []
    for number in range(count):
        clock.now_us = _time_of(number, count)
        agency = chance.choice(["springfield-pd"] * 5 + ["county-sheriff"] * 2 + ["springfield-fire", "transit-police"])
        envelope = agency_request(agency, at_us=clock.now_us, chance=chance, number=number).sign(key_of(agency))
        leaves.append((agency, await logged(service, envelope)))
        await _afterwards(service, clock, leaves[-1], number)
    clock.now_us = NOW_US - 2 * HOUR_US
    await logged(
        service,
        refusals(
            "springfield-pd",
            since_us=clock.now_us - DAY_US,
            until_us=clock.now_us,
            area=5,
            window=3,
            **{"posts-per-case": 2},
        ),
    )
    asked_back = next(leaf for agency, leaf in leaves if agency == "springfield-pd")
    yesterday_us = (clock.now_us // DAY_US - 1) * DAY_US
    counted = DeletionsAsked(agency="springfield-pd", request=asked_back, day=yesterday_us, count=2)
    await logged(service, counted.sign(OPERATOR))
    await logged(service, revocation("transit-police", now_us=clock.now_us))
    clock.now_us += HOUR_US
    rotated = agency_admission(
        "county-sheriff", now_us=clock.now_us, agency_key=public_bytes(key_of("sheriff's new key")),
        evidence="New key handed over in person, against an official identity card",
    )  # fmt: skip
    await logged(service, rotated)
    clock.now_us = NOW_US
    return service


def _time_of(number: int, count: int) -> int:
    """Return when a request is posted: ever more often, until a few hours ago."""
    share = (number + 1) / count
    age_us = round(540 * DAY_US * math.pow(1 - share, 1.6))
    return NOW_US - 5 * HOUR_US - age_us + number * MINUTE_US


async def _afterwards(service: LogService, clock: Clock, posted: tuple[str, str], number: int) -> None:
    agency, leaf = posted
    kind, note = {
        0: ("resolved", "The person was recognised. Thank you."),
        3: ("withdrawn", "It turned out to be a misunderstanding."),
        5: ("answered", "Two households shared clips; we are looking through them."),
    }.get(number % 9, ("", ""))
    if kind:
        clock.now_us += 30 * MINUTE_US
        await logged(service, update(leaf, kind, now_us=clock.now_us, key=key_of(agency), agency=agency, note=note))
