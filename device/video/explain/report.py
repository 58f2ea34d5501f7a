"""An explanation as data: what `explained.json` holds. Times are seconds into the film."""

from dataclasses import asdict
from typing import Any

from device.video.explain.account import Account, ExplainedEvent
from device.video.explain.refused import Refused
from device.video.explain.run import Explained
from device.video.film_settings import FilmSettings
from device.video.motion.detector import MotionBox


def report(explained: Explained, settings: FilmSettings, *, film: str, sensitivity: int) -> dict[str, Any]:
    """Return the account of a film as JSON values."""
    account = explained.account
    return {
        "film": film,
        "duration_s": _rounded(account.seconds(account.end_us)),
        "size": [explained.config.width, explained.config.height],
        "events": [_event(account, event) for event in account.events],
        "refused": [_refused(account, one) for one in account.refused],
        "refused_counts": account.refused_whys,
        "counts": {
            "pictures": len(account.pictures),
            "looked_at": sum(picture.glance is not None for picture in account.pictures),
            "decoded": explained.decoded,
            "looking_cpu_s": _rounded(explained.looking_cpu_s),
        },
        "settings": _settings(settings, sensitivity, eco_of_use=not account.decoded_anyway),
    }


def _event(account: Account, event: ExplainedEvent) -> dict[str, Any]:
    return {
        "event": event.number,
        "type": event.kind,
        "start_s": _rounded(account.seconds(event.start_us)),
        "end_s": _rounded(account.seconds(event.end_us)),
        "best_s": _rounded(account.seconds(event.best_us)),
        "score": event.score,
        "label": None if event.label is None else asdict(event.label),
        "where": _sides(event.where),
        "began_because": event.began,
        "ended_because": event.ended,
        "clips": event.clips or None,
        "to_ignore_it": event.zone_line or None,
    }


def _refused(account: Account, refused: Refused) -> dict[str, Any]:
    return {
        "at_s": _rounded(account.seconds(refused.at_us)),
        "start_s": _rounded(account.seconds(refused.start_us)),
        "end_s": _rounded(account.seconds(refused.end_us)),
        "why": refused.why,
        "because": refused.words,
        "box": _sides(refused.box),
        "net_way": _rounded(refused.net_way),
        "path": _rounded(refused.path),
        "area_share": None if refused.area_share is None else _rounded(refused.area_share),
        "strength": _rounded(refused.strength),
        "what_to_turn": refused.lever,
        "from_sensitivity": refused.level,
    }


def _settings(settings: FilmSettings, sensitivity: int, *, eco_of_use: bool) -> dict[str, Any]:
    motion, recorder = settings.motion, settings.recorder
    return {
        "sensitivity": sensitivity,
        "eco": settings.attention.eco,
        "eco_of_use": eco_of_use,
        "every_picture": settings.attention.longest_group_s == 0,
        "least_area_share": _rounded(motion.blob_area_share),
        "net_way_share": _rounded(motion.net_way_share),
        "straightness": motion.straightness,
        "hold_s": motion.hold_s,
        "still_s": motion.still_s,
        "post_roll_s": recorder.post_roll_s,
        "labels": settings.labels,
        "seed": settings.capture.seed,
        "ignore_zones": motion.ignore,
        "privacy_masks": settings.capture.masks,
    }


def _sides(box: MotionBox | None) -> dict[str, float] | None:
    """Return a box as the truth of scenes has it."""
    if box is None:
        return None
    right, bottom = box.left + box.width, box.top + box.height
    sides = {"left": box.left, "top": box.top, "right": right, "bottom": bottom}
    return {side: _rounded(value) for side, value in sides.items()}


def _rounded(value: float) -> float:
    return round(value, 4)
