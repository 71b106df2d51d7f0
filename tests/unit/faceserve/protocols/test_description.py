"""The description of the HTTP port names what there is."""

import threading

import yaml

from faceserve.protocols.open_inference import Names, OpenInference
from faceserve.protocols.open_inference_http import Limits, OpenInferenceHttp
from faceserve.protocols.tokens import Tokens
from include.stack.layout import REPOSITORY

DESCRIPTION = yaml.safe_load((REPOSITORY / "include/contract/open_inference.yaml").read_text())


def test_every_path_of_the_http_port_is_described_and_no_other():
    service = OpenInference(None, None, None, None, Names("openvino", "replica-1"))
    app = OpenInferenceHttp(service, Limits(1, 1, 1, 1.0), Tokens(), threading.Event()).app
    offered = {
        (route.path.replace(":path}", "}"), method) for route in app.routes for method in route.methods - {"HEAD"}
    }
    described = {
        (path, method.upper())
        for path, operations in DESCRIPTION["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert described == offered


def test_every_operation_says_what_may_be_answered_and_has_a_name_of_its_own():
    operations = [
        one for path in DESCRIPTION["paths"].values() for method, one in path.items() if method != "parameters"
    ]
    assert len({one["operationId"] for one in operations}) == len(operations)
    assert all(one["summary"] and one["responses"] for one in operations)
