"""Topics, filters and texts for Hypothesis."""

import re

from hypothesis import strategies as st

_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef]")

TEXTS = st.text(max_size=30).filter(
    lambda text: (
        not _UNWANTED.search(text)
        and not any(ord(character) & 0xFFFE == 0xFFFE or 0xD800 <= ord(character) <= 0xDFFF for character in text)
    )
)

# Few names, so that topics and filters meet often.
_NAMES = st.sampled_from(["", "a", "b", "$SYS", "$"])

TOPICS = st.lists(_NAMES, min_size=1, max_size=5).map("/".join).filter(bool) | TEXTS.filter(
    lambda text: bool(text) and not set("+#") & set(text)
)


@st.composite
def _filters(draw: st.DrawFn) -> str:
    levels = draw(st.lists(_NAMES | st.just("+"), max_size=5))
    if draw(st.booleans()) or not levels:
        levels = [*levels, "#"]
    return "/".join(levels) or "#"


FILTERS = _filters()
