"""What everybody may send us, fed with nonsense. Each target is a parser and what must hold for any bytes.

    python -m tests.fuzz                      the names of the targets
    python -m tests.fuzz note --seconds 60    coverage-guided, with atheris (`pip install -e '.[fuzz]'`)

`test_targets` runs each target's examples, and mutations of them, in plain Python.
"""
