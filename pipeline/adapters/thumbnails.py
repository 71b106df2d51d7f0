"""Small pictures of photos for people, decoded as for models: a second decoder would fail on photos of its own."""

from PIL import Image

from include.contract.preprocessing import UnreadablePhoto, decode


def thumbnail(photo: bytes, pixels: int) -> Image.Image | None:
    """RGB, at most `pixels` on each side, None for bytes that no model would be shown: no page fails for one photo."""
    try:
        small = Image.fromarray(decode(photo))
    except UnreadablePhoto:
        return None
    small.thumbnail((pixels, pixels))
    return small
