"""The detector that ships with the package."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.video.redact.faces import WEIGHTS, FacesError, YuNet, overlap
from device.video.redact.regions import Box
from tests.video.support import VTEST

PICTURES = VTEST.parent


@pytest.fixture(scope="module")
def yunet() -> YuNet:
    return YuNet()


def test_the_weights_are_those_that_were_recorded() -> None:
    """The file is the one whose origin and licence are written down beside it."""
    digest = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert digest in WEIGHTS.with_suffix(".md").read_text()


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("messi5.jpg", Box(0.412, 0.273, 0.056, 0.116)),
        ("basketball1.png", Box(0.113, 0.192, 0.05, 0.086)),
        ("left06.jpg", Box(0.366, 0.207, 0.157, 0.289)),
    ],
)
@pytest.mark.skipif(not VTEST.exists(), reason="needs Debian's opencv-doc")
def test_real_faces_are_found(yunet: YuNet, name: str, where: Box) -> None:
    """From the front and from the side, of 27 to 100 pixels: the surest finding is the face."""
    picture = cv2.imread(str(PICTURES / name))
    assert picture is not None
    best = yunet.find(np.asarray(picture, np.uint8))[0]
    assert best.score > 0.8
    assert overlap(best.box, where) > 0.6


@pytest.mark.skipif(not VTEST.exists(), reason="needs Debian's opencv-doc")
def test_the_size_of_the_picture_does_not_matter(yunet: YuNet) -> None:
    """Larger than the network looks at, or of odd sides: found at the same place."""
    picture = cv2.imread(str(PICTURES / "messi5.jpg"))
    assert picture is not None
    for size in ((1920, 1199), (333, 207), (1280, 720)):
        best = yunet.find(np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8))[0]
        assert overlap(best.box, Box(0.412, 0.273, 0.056, 0.116)) > 0.5, size


def test_an_empty_picture_has_no_face(yunet: YuNet) -> None:
    """Gray, and noise."""
    assert yunet.find(np.full((200, 300, 3), 128, np.uint8)) == []
    noise = np.random.default_rng(3).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    assert yunet.find(noise) == []


def test_weights_that_are_missing_or_damaged_are_told(tmp_path: Path) -> None:
    """With what to do about it."""
    picture = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(FacesError, match="can't be read"):
        YuNet(tmp_path / "none.onnx").find(picture)
    damaged = tmp_path / "face.onnx"
    damaged.write_bytes(WEIGHTS.read_bytes()[:5_000])
    with pytest.raises(FacesError, match="install the package again"):
        YuNet(damaged).find(picture)
