"""What motion is told: thresholds, ways and times. Values only."""

from dataclasses import dataclass
from typing import Self

from device.video.zones import Polygon

USUAL_SENSITIVITY = 5
# What one level is worth: the smallest person that is seen grows by this factor.
_PER_LEVEL = 1.15


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionSettings:
    """How much of what is motion. Shares are of the picture's width or area; contrast is in steps of log luma.

    `box_mean_share`: the neighbourhood whose mean is taken for its light. `threshold_contrast`: what a pixel has to
    differ by, 41 steps being a factor of e. `restless_factor`: by how much of its usual restlessness more.
    `blob_area_share`: the smallest area that counts. `net_way_share`: how far a thing must have come, sideways or in
    size. `straightness`: net way over path, below which it only wanders. `global_share`: more than this changing at
    once is light. `settle_s`: quiet after that. `learn_s`: how fast the background and its restlessness are learnt.
    `absorb_s`: how fast what was never a track becomes background. `hold_s`: how long a thing may go unseen.
    `still_s`: how long it may stand still before it is part of the picture. `ignore`: zones where motion counts for
    nothing.
    """

    box_mean_share: float = 0.19
    threshold_contrast: float = 5.0
    restless_factor: float = 3.0
    blob_area_share: float = 0.0025
    net_way_share: float = 0.06
    straightness: float = 0.5
    global_share: float = 0.42
    settle_s: float = 1.0
    learn_s: float = 3.0
    absorb_s: float = 15.0
    hold_s: float = 1.2
    still_s: float = 45.0
    ignore: tuple[Polygon, ...] = ()

    @classmethod
    def for_sensitivity(cls, level: int, *, ignore: tuple[Polygon, ...] = ()) -> Self:
        """Return the settings of a level: the smallest person that is seen, as a share of the picture's height.

        At 1 a quarter, at 5 a seventh, at 10 a sixteenth, each level 1.16 times as small as the one before. Through a
        lens that is 90 degrees wide that is a grown-up some 6, 11 and 24 metres away. Finer levels are fooled more
        often.
        """
        coarser = _PER_LEVEL ** (USUAL_SENSITIVITY - level)
        usual = cls()
        return cls(
            threshold_contrast=usual.threshold_contrast * coarser**0.5,
            blob_area_share=usual.blob_area_share * coarser**2,
            net_way_share=usual.net_way_share * coarser**0.5,
            ignore=ignore,
        )
