"""What filming costs: `python -m tests.video.measure_cpu [FILE] [SPEED]`, CPU seconds for a thousand pictures.

Without a file, 1,000 pictures of 1280x720 are made of Debian's vtest.avi. Motion is on, segments are made, nothing is
sealed.
"""

import resource
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av

from device.video.film import Film
from device.video.film_settings import FilmSettings
from device.video.outputs import Output
from device.video.source.capture import parse_source
from tests.video.support import VTEST, Ids, segments_in


def make_film(path: Path, *, frames: int = 1_000) -> Path:
    """Real footage as a camera would send it: 1280x720, 15 a second, a keyframe every two seconds, some 2 Mbit/s."""
    made = 0
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 1280, 720, "yuv420p", 30
        stream.bit_rate = 2_000_000
        stream.options = {"preset": "veryfast", "bf": "0"}
        while made < frames:
            with av.open(str(VTEST)) as source:
                for decoded in source.decode(source.streams.video[0]):
                    if made >= frames:
                        break
                    frame = decoded.reformat(width=1280, height=720, format="yuv420p")
                    frame.pts, frame.time_base, frame.pict_type = made, Fraction(1, 15), 0
                    target.mux(stream.encode(frame))
                    made += 1
        target.mux(stream.encode(None))
    return path


def measure(path: Path, *, speed: float) -> str:
    """Film a file to its end; tell what it cost this process."""
    out: list[Output] = []
    film = Film(parse_source(f"file:{path}"), settings=FilmSettings(speed=speed), new_id=Ids(), sink=out.append)
    before = _cpu_s()
    film.start()
    film.join()
    spent, health = _cpu_s() - before, film.health()
    kept = sum(segment.size_bytes for segments in segments_in(out).values() for segment in segments)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return (
        f"{spent * 1000 / max(1, health.frames):.2f} CPU s for 1,000 pictures "
        f"({health.frames} pictures, {kept / 1e6:.1f} MB kept, peak {peak_mb} MB with all of it held)\n"
    )


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure the file of the command line, or one made on the spot."""
    speed = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else make_film(Path(folder) / "film.mp4")
        sys.stdout.write(measure(path, speed=speed))


if __name__ == "__main__":
    main()
