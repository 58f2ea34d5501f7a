"""Run one target under atheris for so many seconds; what breaks it is left in the folder of its corpus."""

import argparse
import sys
from pathlib import Path


def main() -> None:
    """Instrument what is imported, then never come back: libFuzzer ends the process."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", help="its name; the list of them if there is none")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, default=Path("fuzz-corpus"), help="folder that is kept between runs")
    arguments = parser.parse_args()
    import atheris  # noqa: PLC0415 - has to be there before what it is to instrument

    with atheris.instrument_imports(include=["broker"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - instrumented as it is imported
    if arguments.target not in TARGETS:
        print(*TARGETS, sep="\n")  # noqa: T201 - a list for the terminal
        return
    target = TARGETS[arguments.target]
    folder = (arguments.corpus / target.name).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for number, example in enumerate(target.examples):
        (folder / f"example-{number}").write_bytes(example)
    options = [f"-max_total_time={arguments.seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/broken-", str(folder)], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
