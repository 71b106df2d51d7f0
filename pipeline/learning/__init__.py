"""The only home of TensorFlow and albumentations."""
