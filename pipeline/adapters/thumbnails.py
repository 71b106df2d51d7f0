"""Small pictures of photos for people, decoded as for models: another decoder would fail on other photos."""

from PIL import Image

from include.contract.preprocessing import UnreadablePhoto, decode


def thumbnail(photo: bytes, pixels: int) -> Image.Image | None:
    """RGB, at most `pixels` on each side; None for bytes that no model would be shown, so that no page fails because of
    one photo.
    """
    try:
        small = Image.fromarray(decode(photo))
    except UnreadablePhoto:
        return None
    small.thumbnail((pixels, pixels))
    return small
