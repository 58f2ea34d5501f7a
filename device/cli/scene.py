"""`latchstring scene`: films that are drawn, with their truth, to test a detector with."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import track
from rich.table import Table

from broker.terminal import AsJson, say, say_json
from device.video.codec.encoder import EncoderSettings
from device.video.codec.mux import mux_mp4
from device.video.packets import Packet
from device.video.scene.file import Scene, builtin_scene, library, load_scene
from device.video.scene.truth import SceneTruth, TrueEvent
from device.video.segments import Segment, Segmenter, SegmentSettings
from device.video.source.capture import CaptureSettings
from device.video.source.drawn import SceneSource

from .errors import CommandError

# A file to be looked at, not a camera's: more work for each picture, and a finer one.
_QUALITY = EncoderSettings(preset="veryfast", quality=7)

Name = Annotated[str, Parameter(help="A scene of the library (`latchstring scene list`), or a .toml file.")]
Seed = Annotated[int, Parameter(help="Which of the many possible films of the scene; 0 or more.")]

app = App(name="scene", help="Draw films to test detectors with, and tell what is in them.")


@app.command(name="list")
def scene_list(*, seed: Seed = 1, as_json: AsJson = False) -> None:
    """Show the scenes that come with Latchstring, and what happens in each with this seed."""
    _check(seed)
    known = {name: load_scene(path) for name, path in library().items()}
    truths = {name: SceneTruth(scene, seed=seed).head() for name, scene in known.items()}
    if as_json:
        say_json(
            [
                {"name": name, **{key: truths[name][key] for key in ("title", "duration_s", "events", "disturbances")}}
                for name in known
            ]
        )
        return
    table = Table("scene", "what it is", "seconds", "events", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    for name, truth in truths.items():
        events = ", ".join(f"{one['label']} {one['start_s']:.0f}-{one['end_s']:.0f}" for one in truth["events"])
        table.add_row(name, truth["title"], f"{truth['duration_s']:.0f}", events or "none")
    Console().print(table)


@app.command(name="truth")
def scene_truth(
    scene: Name,
    *,
    seed: Seed = 1,
    out: Annotated[Path | None, Parameter(help="Write it to this file.")] = None,
) -> None:
    """Print the truth about a scene's film as JSON lines.

    The first line tells of the film: its size, events with their labels, rings and disturbances. Each further line is
    about one picture: the box of each actor in fractions of the picture, and whether it counts. The events of two seeds
    differ a little, as their films do.
    """
    truth = SceneTruth(_scene(scene), seed=_check(seed))
    if out is None:
        say(*truth.lines())
    else:
        _write_truth(truth, out)


@app.command(name="render")
def scene_render(
    scene: Name,
    *,
    out: Annotated[Path, Parameter(help="The MP4 file to write.")],
    seed: Seed = 1,
    truth: Annotated[
        Path | None, Parameter(help="Write the truth beside it, as `latchstring scene truth` does.")
    ] = None,
) -> None:
    """Draw a scene into an MP4 file (H.264)."""
    drawn = _scene(scene)
    _check(seed)
    for path in (out, truth):
        if path is not None and not path.absolute().parent.is_dir():
            raise CommandError(f"{path.parent} is no folder; make it first")
        if path is not None:
            _check_file(path)
    mp4 = mux_mp4(_segments(_path(scene), drawn, seed=seed))
    _write(out, mp4)
    told = SceneTruth(drawn, seed=seed)
    if truth is not None:
        _write_truth(told, truth)
    events = ", ".join(_words(event) for event in told.events()) or "nothing that matters"
    say(f"wrote {out}: {drawn.duration_s:g} s, {len(mp4):,} bytes, seed {seed}; in it: {events}")
    if truth is not None:
        say(f"wrote {truth}")


def _words(event: TrueEvent) -> str:
    return f"{event.label} from {event.start_s:.1f} to {event.end_s:.1f} s"


def _segments(path: Path, scene: Scene, *, seed: int) -> list[Segment]:
    source = SceneSource(path, settings=CaptureSettings(seed=seed, encoder=_QUALITY), start_us=0)
    segmenter = Segmenter(SegmentSettings())
    console = Console(stderr=True)
    packets = track(
        _packets(source),
        total=scene.frames,
        description="drawing",
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    done = [segment for packet in packets for segment in segmenter.push(packet)]
    return done + segmenter.flush()


def _packets(source: SceneSource) -> Iterator[Packet]:
    return (item for item in source.items() if isinstance(item, Packet))


def _path(name: str) -> Path:
    return Path(name).expanduser() if "/" in name or name.endswith(".toml") else builtin_scene(name)


def _scene(name: str) -> Scene:
    return load_scene(_path(name))


def _check(seed: int) -> int:
    if seed < 0:
        raise CommandError(f"--seed {seed}: a seed is 0 or more")
    return seed


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise CommandError(f"{path} is a folder; name a file in it")


def _write_truth(truth: SceneTruth, path: Path) -> None:
    _write(path, "".join(f"{line}\n" for line in truth.lines()).encode())


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    _check_file(path)
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise CommandError(f"{path} can't be written: {error.strerror}") from error
