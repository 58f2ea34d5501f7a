"""Motion on small luma pictures, pure: `detector.read_motion` and what it stands on."""
