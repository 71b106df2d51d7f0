"""Photos to base vectors, by the same pixels and the same network as the model server has them."""

from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from include.contract.preprocessing import INPUT_PIXELS, to_input
from pipeline.domain.errors import GiveUp
from pipeline.learning.faces.base_weights import SHA256, WeightsRefused

if TYPE_CHECKING:
    import keras


class KerasFaceNetwork:
    """dlib's ResNet-29 of faces. A photo is of one face and little else, as gates and enrolment take it.

    Who only needs to know which one it is needs no TensorFlow.
    """

    name = "FaceResNet29"
    sha256 = SHA256

    @cached_property
    def model(self) -> "keras.Model":
        """Float32 [N, 224, 224, 3] of 0-255 → [N, 128]. Raises `GiveUp` without its weights, or TensorFlow."""
        if find_spec("tensorflow") is None:
            raise GiveUp("faces are learned where TensorFlow is: in the image laundry-training")
        import keras

        from pipeline.learning.faces.base_network import PIXELS, base_network

        inputs = keras.Input((INPUT_PIXELS, INPUT_PIXELS, 3), name="photos")
        # In the network, so that training and every engine shrink alike.
        faces = keras.layers.Resizing(PIXELS, PIXELS, interpolation="bilinear")(inputs)
        try:
            base = base_network()
        except WeightsRefused as error:
            raise GiveUp(str(error)) from None
        return keras.Model(inputs, base(faces), name="shrunk_face", trainable=False)

    def embed(self, photos: Sequence[bytes]) -> Sequence[bytes]:
        images = np.stack([to_input(photo) for photo in photos]).astype(np.float32)
        vectors: Any = self.model(images, training=False)
        return [vector.astype("<f4").tobytes() for vector in vectors.numpy()]
