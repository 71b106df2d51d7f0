"""What MLServer runs to serve the same OpenVINO model; only MLServer's own environment imports it."""

from pathlib import Path

import numpy as np
import openvino as ov
from mlserver import MLModel, types
from mlserver.codecs import NumpyCodec


class OpenVinoModel(MLModel):
    """Any model: `parameters.uri` names its folder, `parameters.extra` its precision and its number of threads."""

    async def load(self) -> bool:
        folder = Path(self.settings.parameters.uri)
        extra = self.settings.parameters.extra
        options = {
            "INFERENCE_PRECISION_HINT": extra["precision"],
            "INFERENCE_NUM_THREADS": extra["threads"],
            "NUM_STREAMS": 1,
        }
        core = ov.Core()
        model = core.read_model(str(folder / "model.xml"))
        model.reshape([1, 224, 224, 3])
        self._request = core.compile_model(model, "CPU", options).create_infer_request()
        self._request.infer({"images": np.zeros((1, 224, 224, 3), np.uint8)})
        return True

    async def predict(self, payload: types.InferenceRequest) -> types.InferenceResponse:
        images = NumpyCodec.decode_input(payload.inputs[0])
        self._request.infer({"images": images})
        outputs = [
            NumpyCodec.encode_output(name, np.array(self._request.get_tensor(name).data))
            for name in ("probabilities", "features")
        ]
        return types.InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
