"""The trained model for other engines: int8 for OpenVINO, ONNX."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.learning.shards import Images

_BATCH = 16
_CALIBRATION_IMAGES = 128
_ONNX_OPSET = 18


def quantize(source: Path, target: Path, calibration: npt.NDArray[np.uint8]) -> None:
    """Write an int8 copy of an OpenVINO model; its value ranges are those seen on `calibration`."""
    import nncf
    import openvino as ov

    logging.getLogger("nncf").setLevel(logging.ERROR)
    images = calibration[:: max(1, len(calibration) // _CALIBRATION_IMAGES)][:_CALIBRATION_IMAGES]
    quantized = nncf.quantize(
        ov.Core().read_model(str(source)),
        nncf.Dataset([image[None] for image in images], lambda image: {"images": image}),
        subset_size=len(images),
        # Symmetric: with offsets (preset MIXED) features were seen to be off by half on some processors.
        preset=nncf.QuantizationPreset.PERFORMANCE,
    )
    target.parent.mkdir(parents=True)
    ov.save_model(quantized, str(target), compress_to_fp16=False)


def to_onnx(function: Any, target: Path) -> None:
    """Write a `tf.function` as ONNX; names of inputs and outputs stay."""
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    target.parent.mkdir(parents=True)
    tf2onnx.convert.from_function(
        function, input_signature=function.input_signature, opset=_ONNX_OPSET, output_path=str(target)
    )


def probabilities(path: Path, images: npt.NDArray[np.uint8], precision: str = "f32") -> npt.NDArray[np.float32]:
    """OpenVINO's answers with the model in the file; float32 [N, labels]."""
    import openvino as ov

    compiled = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": precision})
    batches = (images[at : at + _BATCH] for at in range(0, len(images), _BATCH))
    return np.concatenate([np.array(compiled({"images": batch})["probabilities"]) for batch in batches])


def onnx_probabilities(path: Path, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["probabilities"], {"images": images})[0], np.float32)


def lost_accuracy(path: Path, reference: Path, examples: Images) -> float:
    """Accuracy of the model in `reference` less that of the one in `path`; negative when the latter is better."""
    shares = [float((probabilities(p, examples.images).argmax(1) == examples.labels).mean()) for p in (reference, path)]
    return shares[0] - shares[1]
