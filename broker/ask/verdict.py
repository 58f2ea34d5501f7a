"""What the page says of a form: the mistakes in it, the rules, what the public will read, and how to post it. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from broker.agency import PreviewRow, RequestDraft, RequestFileError, load_request_file, preview
from broker.agency.errors import Mistake
from broker.agency.mistakes import HINTS
from broker.agency.public import PublicView, public_view
from broker.agency.values import NO_ZONE, local_window_text
from broker.wire.records import Agency, Request
from broker.wire.rules import Limits
from broker.words import count_text, window_text

from .command import file_command, file_name, flags_command, request_file
from .form import Form

# Stands where the agency's own key will: the page does not know it, and needs no key at all.
_NO_RECIPIENT = "age1" + "q" * 58
_TIMES = ("start", "end", "zone")
_FIELDS = {"lat": "at", "lon": "at", "area_m2": "radius_m", "window": "end", "area": "radius_m"}
_NAMES = {
    "agency": "Agency",
    "case": "Case number",
    "incident": "Incident",
    "description": "What happened",
    "at": "Middle of the area",
    "radius_m": "Radius",
    "start": "From",
    "end": "Until",
    "zone": "Time zone",
    "devices": "Devices",
    "purpose": "Purpose",
    "retention_days": "Days that footage is kept",
    "sharing": "Shared with",
    "excludes": "Not used for",
    "contact": "Contact",
    "expires_in_days": "Days that it is open",
    "folder": "Your agency's folder",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake in one field: the field's name in the form, its label, and what to do."""

    field: str
    label: str
    what: str


@dataclass(frozen=True, slots=True)
class Handed:
    """What an agency takes home: the request file under its name, and two command lines, either of which posts it."""

    name: str
    toml: str
    command: str
    flags: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What there is to say of a form. `view` and `rows` are there once it can be read, `handed` once all is kept.

    `window` is the window of time in words, in the form's zone and in UTC.
    """

    faults: tuple[Fault, ...] = ()
    rows: tuple[PreviewRow, ...] = ()
    view: PublicView | None = None
    handed: Handed | None = None
    request: Request | None = None
    window: str = ""


def judge(
    form: Form,
    agencies: dict[str, Agency],
    *,
    now_us: int,
    limits: Limits,
    earlier_posts: Callable[[str, str], int],
    open_requests: Callable[[str], int],
) -> Verdict:
    """Judge a form at `now_us`; the log's history is asked for an agency and its case, and for what it has open."""
    agency = agencies.get(form.texts["agency"])
    faults = [] if agency is not None else [_fault(Mistake("agency", "choose one that the log admits"))]
    if not form.texts["zone"]:
        faults.append(_fault(Mistake("zone", "say in which zone the times are, such as Europe/Berlin")))
    if not form.texts["folder"] or not form.texts["folder"].isprintable():
        faults.append(
            _fault(Mistake("folder", "give the whole path of the folder that 'latchstring agency init' made"))
        )
    try:
        draft = load_request_file(None, form.values())
        if agency is None:
            return Verdict(tuple(faults))
        request = draft.build(agency, recipient=_NO_RECIPIENT, now_us=now_us)
    except RequestFileError as error:
        untold = (one for one in dict.fromkeys(error.mistakes) if one.what != NO_ZONE or form.texts["zone"])
        return Verdict((*faults, *(_fault(one) for one in untold)))
    rows = tuple(
        preview(
            request,
            agency,
            now_us=now_us,
            earlier_posts=earlier_posts(agency.agency, draft.case),
            now_open=open_requests(agency.agency),
            limits=limits,
        )
    )
    handed = None if faults or not all(row.kept for row in rows) else _handed(draft, form)
    return Verdict(tuple(faults), rows, _view(request, agency, draft), handed, request, _window(request, form))


def _handed(draft: RequestDraft, form: Form) -> Handed:
    times = {key: form.texts[key] for key in _TIMES}
    folder = form.texts["folder"]
    return Handed(
        name=file_name(draft),
        toml=request_file(draft, times),
        command=file_command(draft, folder),
        flags=flags_command(draft, times, folder),
    )


def _view(request: Request, agency: Agency, draft: RequestDraft) -> PublicView:
    """Return what the public will read, with words for what is known only when it is posted."""
    days = draft.expires_in_days
    later = {
        "Posted": "when you post it",
        "Expires": f"{count_text(int(days), 'day') if days == int(days) else f'{days:g} days'} after that",
        "Sealed to": "the key in your agency's folder",
    }
    view = public_view(request, agency)
    return replace(view, terms=tuple((word, later.get(word, said)) for word, said in view.terms))


def _window(request: Request, form: Form) -> str:
    """Return the window by the clocks of the form's zone and in UTC, so that a wrong zone is seen."""
    utc, zone = window_text(request.start, request.end), form.texts["zone"]
    return utc if zone in {"", "UTC"} else f"{local_window_text(request.start, request.end, zone)}, which is {utc}"


def _fault(mistake: Mistake) -> Fault:
    field = _FIELDS.get(mistake.key or "", mistake.key or "case")
    hint = HINTS.get(field, "")
    what = mistake.what if not hint or field in {"start", "end", "zone"} else f"{mistake.what} ({_plain(hint)})"
    return Fault(field, _NAMES.get(field, field), what)


def _plain(hint: str) -> str:
    """Return a hint for a request file as one for a form: without the key."""
    before, equals, after = hint.partition(" = ")
    return hint if not equals else f"{before.rpartition(' ')[0]} {after}".strip()
