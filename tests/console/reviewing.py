"""A review as a program would do it: a draft, a choice, the bundle that comes of it, and a decision."""

from typing import Any

from tests.console.client import Client
from tests.console.support import PORCH, Household
from tests.neighbourhood.support import wait_for


def built(client: Client, device: str, leaf: str, *, rings: bool = False, **change: Any) -> dict[str, Any]:
    """Have a bundle made of all matching clips, as much of each as was asked for; `change` goes into each choice."""
    draft = client.post("/api/drafts", device=device, leaf=leaf)
    clips = [{**whole(clip), **change} for clip in draft["clips"]]
    return rebuilt(client, draft["draft"], {"clips": clips, "rings": rings})


def whole(clip: dict[str, Any]) -> dict[str, Any]:
    """Return the choice of all of a clip that can be sent as it was filmed."""
    return {
        "clip": clip["clip"],
        "from_us": clip["cuts"][0],
        "until_us": clip["cuts"][-1],
        "hide_faces": False,
        "regions": [],
    }


def rebuilt(client: Client, draft: str, choice: dict[str, Any]) -> dict[str, Any]:
    """Have the bundle of a choice made; returns the draft that is ready."""
    client.post(f"/api/drafts/{draft}/build", choice=choice)
    found: dict[str, Any] = {}

    def ready() -> bool:
        nonlocal found
        found = client.get(f"/api/drafts/{draft}")
        assert found["state"] != "failed", found["error"]
        return bool(found["state"] == "ready")

    wait_for(ready, "the bundle is made", within_s=40)
    return found


def approved(client: Client, draft: dict[str, Any], **proof: Any) -> None:
    """Approve what lies ready."""
    client.post(f"/api/drafts/{draft['draft']}/approve", sha256=draft["bundle"]["sha256"], **proof)


def played(client: Client, household: Household, device: str = PORCH) -> str:
    """Return the address of a device's first film."""
    clip = household.status(device)["events"][-1]["clip"]
    return str(client.post("/api/play", device=device, clip=clip)["url"])
