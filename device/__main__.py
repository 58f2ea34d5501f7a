"""`python -m device` is `latchstring`."""

from device.cli import main

main()
