"""A real RTSP server: Debian's gst-rtsp-server, run by Debian's own Python; `rtsp.Server` starts it as a child process.

The first line on standard input says what to serve: JSON with a GStreamer bin, holding a `pay0`, for each path, a login
or null, and a port or 0. It prints its port once it listens. Each line `ELEMENT PROPERTY VALUE` after that changes an
element that runs; it ends when standard input does.
"""

# Standard library and gi alone: Debian's Python knows nothing of this project.
import json
import sys
import threading
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402 - versions come first

_DIGEST = 2  # GST_RTSP_AUTH_DIGEST


def serve(mounts: dict[str, str], *, login: str | None, port: int) -> None:
    """Serve until standard input ends."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(port))
    playing: list[Any] = []
    for path, launch in mounts.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch)
        factory.set_shared(True)
        factory.connect("media-configure", lambda _factory, media: playing.append(media.get_element()))
        if login is not None:
            _open_to_viewers(factory)
        server.get_mount_points().add_factory(path, factory)
    if login is not None:
        server.set_auth(_digest(*login.split(":", 1)))
    server.attach(None)
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    loop = GLib.MainLoop()
    threading.Thread(target=_obey, args=(playing, loop), daemon=True).start()
    loop.run()


def _open_to_viewers(factory: Any) -> None:
    may = Gst.Structure.new_empty("viewer")
    may.set_value("media.factory.access", True)
    may.set_value("media.factory.construct", True)
    factory.add_role_from_structure(may)


def _digest(name: str, password: str) -> Any:
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(_DIGEST)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_digest(name, password, token)
    return auth


def _obey(playing: list[Any], loop: Any) -> None:
    for line in sys.stdin:
        name, key, value = line.strip().split(" ", 2)
        for media in playing:
            element = media.get_by_name(name)
            if element is not None:
                Gst.util_set_object_arg(element, key, value)
    loop.quit()


if __name__ == "__main__":
    told = json.loads(sys.stdin.readline())
    serve(told["mounts"], login=told["login"], port=told["port"])
