"""What lies where in a device's folder."""

STATE_NAME = "state.db"
CLIPS_NAME = "clips"
OUTGOING_NAME = "outgoing"
KEY_NAME = "device.key"
