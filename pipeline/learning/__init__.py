"""The only home of TensorFlow and albumentations."""

import os

# albumentations asks the internet for a newer release of itself whenever it is imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
