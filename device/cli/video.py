"""`latchstring video`: what motion sees in a film, and why, so that a camera can be tuned by it."""

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, Self

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from broker import logs
from broker.terminal import AsJson, say, say_json
from device.parts import film_settings
from device.settings import load_settings
from device.video.attention import AttentionSettings
from device.video.explain.account import Account, ExplainedEvent
from device.video.explain.clip import explain_clip
from device.video.explain.levers import zone_intro
from device.video.explain.report import report
from device.video.explain.run import Explained, as_recorded, run_film
from device.video.explain.sheet import choose, explain_sheet, label_words, refused_words
from device.video.explain.words import clock, sensitivity_words
from device.video.film_settings import FilmSettings
from device.video.labels.process import ModelProcess
from device.video.motion.detector import MotionSettings
from device.video.motion.settings import USUAL_SENSITIVITY
from device.video.source.capture import CaptureSettings, SourceKind, SourceSpec, parse_source

from .errors import CommandError

NAMES: Final = ("explained.mp4", "explained.png", "explained.json")
_KINDS: Final = ("file", "scene", "rtsp", "rtsps", "v4l2")
_LEVELS: Final = range(1, 11)
_MOST_EVENTS: Final = 20

app = App(name="video", help="See what motion sees in a film, and why; to tune it by.")


@app.command(name="explain")
def video_explain(
    file: Annotated[str, Parameter(help="A film: a file, or scene:NAME.")],
    *,
    out: Annotated[Path, Parameter(help="The folder to write explained.mp4, .png and .json into.")],
    sensitivity: Annotated[int | None, Parameter(help="1 sees least, 10 most; 5 if nothing else says.")] = None,
    home: Annotated[
        Path | None, Parameter(help="A device's folder: its sensitivity, zones, masks and eco are taken.")
    ] = None,
    every_picture: Annotated[
        bool, Parameter(negative="", help="Look at every picture, whatever eco would leave out.")
    ] = False,
    seed: Annotated[int | None, Parameter(help="Of a scene: which of its many possible films.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what motion sees in a film: where, and why events begin and end.

    The film goes through the parts that a device runs, with the same settings, as fast as they can. The clip shows
    every picture with what was seen in it; the contact sheet each event, and what was refused; the JSON the same as
    data. Other files in the folder are left alone.
    """
    logs.configure(level=logging.WARNING)
    asked = _asked(file, sensitivity=sensitivity, home=home, every=every_picture, seed=seed)
    files = _Files(out, spec=asked.spec)
    console = Console(stderr=True)
    with files, _progress(console) as progress:
        explained = _looked(asked, progress)
        account, chosen = explained.account, choose(explained.account)
        logs.configure(level=logging.ERROR)  # what is damaged was told of the first time
        pictures = explain_clip(
            asked.spec, asked.settings, explained, files.part(NAMES[0]),
            keep=chosen.moments(account), progress=progress.told("drawing", account.seconds(account.end_us)),
        )  # fmt: skip
        sheet = explain_sheet(account, chosen, pictures, title=asked.title, notes=_notes(asked, explained))
        told = report(explained, asked.settings, film=asked.spec.shown, sensitivity=asked.sensitivity)
        files.write(NAMES[1], sheet)
        files.write(NAMES[2], json.dumps(told, indent=2).encode() + b"\n")
        files.keep()
    if as_json:
        say_json(told)
    else:
        _show(asked, explained, files)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is to be explained, and by which settings."""

    spec: SourceSpec
    settings: FilmSettings
    sensitivity: int

    @property
    def title(self) -> str:
        location = Path(self.spec.location)
        return f"scene {location.stem}" if self.spec.kind == "scene" else location.name


def _asked(file: str, *, sensitivity: int | None, home: Path | None, every: bool, seed: int | None) -> _Asked:
    if sensitivity is not None and sensitivity not in _LEVELS:
        raise CommandError(f"--sensitivity {sensitivity}: it goes from 1 (sees least) to 10 (sees most)")
    if seed is not None and seed < 0:
        raise CommandError(f"--seed {seed}: a seed is 0 or more")
    spec = _spec(file)
    level = USUAL_SENSITIVITY if sensitivity is None else sensitivity
    if home is None:
        settings = FilmSettings(
            capture=CaptureSettings(seed=1),
            motion=MotionSettings.for_sensitivity(level),
            attention=AttentionSettings(),
            labels="model",
        )
    else:
        device = load_settings(home)
        settings = film_settings(device, home=home)
        level = device.camera.sensitivity if sensitivity is None else sensitivity
        settings = replace(settings, motion=MotionSettings.for_sensitivity(level, ignore=settings.motion.ignore))
    if seed is not None:
        settings = replace(settings, capture=replace(settings.capture, seed=seed))
    settings = as_recorded(settings, every_picture=every)
    return _Asked(spec=spec, settings=settings, sensitivity=level)


def _spec(file: str) -> SourceSpec:
    """Return the film that an argument names: an address as in the settings, or simply a path."""
    if file.partition(":")[0].lower() not in _KINDS:
        kind: SourceKind = "scene" if file.endswith(".toml") else "file"
        return SourceSpec(kind=kind, location=str(Path(file).expanduser()))
    spec = parse_source(file)
    if spec.live:
        raise CommandError(f"{spec.shown} is a camera, and only films are explained; record one, and give its file")
    return spec


def _looked(asked: _Asked, progress: "_Progress") -> Explained:
    with ExitStack() as stack:
        labeller = None
        if asked.settings.labels == "model":
            labeller = ModelProcess()
            stack.callback(labeller.rest)
        return run_film(asked.spec, asked.settings, labeller=labeller, progress=progress.told("looking", None))


class _Files:
    """The three files in the making: beside their places, and put there together when all are whole."""

    def __init__(self, folder: Path, *, spec: SourceSpec) -> None:
        self._folder = folder
        for name in NAMES:
            path = folder / name
            if spec.kind == "file" and path.exists() and path.samefile(spec.location):
                raise CommandError(f"{path} is the film itself; give another folder for --out")
            if path.is_dir():
                raise CommandError(f"{path} is a folder, and would have to be a file; give another --out")
        self._made = [path for path in (folder, *folder.parents) if not path.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._leave()
            raise CommandError(f"{folder} can't be made: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in NAMES:
            self.part(name).unlink(missing_ok=True)
        self._leave()

    def _leave(self) -> None:
        """Take away the folders that were made for this, the innermost first, as long as nothing is in them."""
        for path in self._made:
            try:
                path.rmdir()
            except OSError:
                return

    def __str__(self) -> str:
        return ", ".join(str(self._folder / name) for name in NAMES)

    def part(self, name: str) -> Path:
        """Where a file is written first."""
        return self._folder / f".{name}.part"

    def write(self, name: str, data: bytes) -> None:
        """Write one of them; CommandError if that can't be."""
        try:
            self.part(name).write_bytes(data)
        except OSError as error:
            raise CommandError(f"{self._folder / name} can't be written: {error.strerror}") from error

    def keep(self) -> None:
        """Put all in their places."""
        for name in NAMES:
            self.part(name).replace(self._folder / name)


def _notes(asked: _Asked, explained: Explained) -> list[str]:
    account, settings = explained.account, asked.settings
    eco = "eco" if settings.attention.eco else "no eco"
    if settings.attention.eco and account.decoded_anyway:
        eco = "eco is of no use here, as every picture of this source is decoded anyway"
    every = ", every picture looked at" if settings.attention.longest_group_s == 0 else ""
    zones, masks = len(settings.motion.ignore), len(settings.capture.masks)
    also = "".join(
        f", {count} {what}{'s' if count > 1 else ''}"
        for count, what in ((zones, "zone to ignore"), (masks, "privacy mask"))
        if count
    ).replace("zone to ignores", "zones to ignore")
    return [
        f"sensitivity {asked.sensitivity} {sensitivity_words(settings.motion)}; {eco}{every}{also}",
        _counts(account, explained),
    ]


def _counts(account: Account, explained: Explained) -> str:
    looked = sum(picture.glance is not None for picture in account.pictures)
    return (
        f"{clock(account.seconds(account.end_us))} of {explained.config.width}x{explained.config.height}, "
        f"{len(account.pictures):,} pictures, {looked:,} looked at, {explained.decoded:,} decoded; "
        f"looking took {explained.looking_cpu_s:.2f} s of CPU"
    )


def _show(asked: _Asked, explained: Explained, files: _Files) -> None:
    account = explained.account
    say(*_notes(asked, explained))
    for event in account.events[:_MOST_EVENTS]:
        say("", *_lines(account, event))
    if len(account.events) > _MOST_EVENTS:
        say("", f"and {len(account.events) - _MOST_EVENTS} more events, in {NAMES[2]}")
    if not account.events:
        say("", "no event" if account.refused else "no event, and nothing that came near to one")
    refused = choose(account).refused
    if refused:
        table = Table("", "at", "refused because", "what to turn", box=None, pad_edge=False)
        for letter, one in refused:
            table.add_row(letter, clock(account.seconds(one.at_us)), escape(refused_words(one)), escape(one.lever))
        Console().print("", table)
    say("", f"wrote {files}")


def _lines(account: Account, event: ExplainedEvent) -> tuple[str, ...]:
    start, end = clock(account.seconds(event.start_us)), clock(account.seconds(event.end_us))
    what = "bell" if event.kind == "ring" else f"score {event.score}  {label_words(event)}".rstrip()
    lines = [f"event {event.number}  {start} to {end}  {what}", f"  began: {event.began}", f"  ended: {event.ended}"]
    if event.clips:
        lines.append(f"  clips: {event.clips}")
    if event.where is not None:
        lines += [f"  {zone_intro(event.where)}", f"  {event.zone_line}"]
    return tuple(lines)


class _Progress:
    """How far it is, on the terminal alone."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar

    def told(self, what: str, total_s: float | None) -> Any:
        """Return what is to be told of the seconds of film that are done."""
        task = self._bar.add_task(what, total=total_s, film="")
        return lambda at_s: self._bar.update(task, completed=at_s, film=clock(at_s))


@contextmanager
def _progress(console: Console) -> Iterator[_Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[film]} of the film"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield _Progress(bar)
