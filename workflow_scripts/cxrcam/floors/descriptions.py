"""What each floor may see, in words for readers."""

from typing import Final

DESCRIPTIONS: Final[dict[str, str]] = {
    "majority": "sees nothing: always the commonest class of the training images",
    "histogram": "sees how often each grey occurs, not where",
    "border": "sees the outer ring, 4/224 of the side wide",
    "corners": "sees four corner squares, 6/224 of the side each",
    "centre_black": "sees a 28 x 28 thumbnail whose central 60 % square is black",
    "thumbnail": "sees a 28 x 28 thumbnail: the lungs' outline but no texture",
}
"""By name, from the blindest to the one that sees most."""
