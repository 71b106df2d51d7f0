from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ClassifyRequest(_message.Message):
    __slots__ = ("model", "image", "uri", "task_id", "version")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    model: str
    image: bytes
    uri: str
    task_id: str
    version: str
    def __init__(self, model: _Optional[str] = ..., image: _Optional[bytes] = ..., uri: _Optional[str] = ..., task_id: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ClassifyResponse(_message.Message):
    __slots__ = ("label", "probabilities", "model_version", "epoch", "task_id", "replica", "side", "reasons")
    class ProbabilitiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    label: str
    probabilities: _containers.ScalarMap[str, float]
    model_version: str
    epoch: int
    task_id: str
    replica: str
    side: str
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    def __init__(self, label: _Optional[str] = ..., probabilities: _Optional[_Mapping[str, float]] = ..., model_version: _Optional[str] = ..., epoch: _Optional[int] = ..., task_id: _Optional[str] = ..., replica: _Optional[str] = ..., side: _Optional[str] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("name", "probability")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    name: str
    probability: float
    def __init__(self, name: _Optional[str] = ..., probability: _Optional[float] = ...) -> None: ...

class ExtractFeaturesRequest(_message.Message):
    __slots__ = ("model", "image", "version")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    model: str
    image: bytes
    version: str
    def __init__(self, model: _Optional[str] = ..., image: _Optional[bytes] = ..., version: _Optional[str] = ...) -> None: ...

class CompareRequest(_message.Message):
    __slots__ = ("model", "image", "version", "count", "identity")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    model: str
    image: bytes
    version: str
    count: int
    identity: str
    def __init__(self, model: _Optional[str] = ..., image: _Optional[bytes] = ..., version: _Optional[str] = ..., count: _Optional[int] = ..., identity: _Optional[str] = ...) -> None: ...

class CompareResponse(_message.Message):
    __slots__ = ("matches", "model_version", "epoch", "threshold", "enrolled")
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    ENROLLED_FIELD_NUMBER: _ClassVar[int]
    matches: _containers.RepeatedCompositeFieldContainer[Match]
    model_version: str
    epoch: int
    threshold: float
    enrolled: int
    def __init__(self, matches: _Optional[_Iterable[_Union[Match, _Mapping]]] = ..., model_version: _Optional[str] = ..., epoch: _Optional[int] = ..., threshold: _Optional[float] = ..., enrolled: _Optional[int] = ...) -> None: ...

class Match(_message.Message):
    __slots__ = ("identity", "similarity")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    identity: str
    similarity: float
    def __init__(self, identity: _Optional[str] = ..., similarity: _Optional[float] = ...) -> None: ...

class ExtractFeaturesResponse(_message.Message):
    __slots__ = ("features", "model_version", "epoch")
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    features: _containers.RepeatedScalarFieldContainer[float]
    model_version: str
    epoch: int
    def __init__(self, features: _Optional[_Iterable[float]] = ..., model_version: _Optional[str] = ..., epoch: _Optional[int] = ...) -> None: ...

class PrepareRequest(_message.Message):
    __slots__ = ("model", "version", "artifact_uri", "manifest_sha256", "request_id", "urgent")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_URI_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_SHA256_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    URGENT_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    artifact_uri: str
    manifest_sha256: str
    request_id: str
    urgent: bool
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., artifact_uri: _Optional[str] = ..., manifest_sha256: _Optional[str] = ..., request_id: _Optional[str] = ..., urgent: _Optional[bool] = ...) -> None: ...

class PrepareResponse(_message.Message):
    __slots__ = ("version", "load_seconds", "warm_up_seconds", "epoch")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LOAD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    WARM_UP_SECONDS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    version: str
    load_seconds: float
    warm_up_seconds: float
    epoch: int
    def __init__(self, version: _Optional[str] = ..., load_seconds: _Optional[float] = ..., warm_up_seconds: _Optional[float] = ..., epoch: _Optional[int] = ...) -> None: ...

class ActivateRequest(_message.Message):
    __slots__ = ("model", "version", "expected_epoch", "request_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_EPOCH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    expected_epoch: int
    request_id: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., expected_epoch: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class ActivateResponse(_message.Message):
    __slots__ = ("version", "previous_version", "epoch", "swap_milliseconds")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SWAP_MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    version: str
    previous_version: str
    epoch: int
    swap_milliseconds: float
    def __init__(self, version: _Optional[str] = ..., previous_version: _Optional[str] = ..., epoch: _Optional[int] = ..., swap_milliseconds: _Optional[float] = ...) -> None: ...

class DiscardRequest(_message.Message):
    __slots__ = ("model", "version", "request_id", "expected_epoch")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_EPOCH_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    request_id: str
    expected_epoch: int
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., request_id: _Optional[str] = ..., expected_epoch: _Optional[int] = ...) -> None: ...

class DiscardResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("model", "expected_epoch", "version", "request_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_EPOCH_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    expected_epoch: int
    version: str
    request_id: str
    def __init__(self, model: _Optional[str] = ..., expected_epoch: _Optional[int] = ..., version: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class SetCanaryRequest(_message.Message):
    __slots__ = ("model", "version", "percent", "shadow", "request_id", "expected_epoch")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_EPOCH_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    percent: float
    shadow: bool
    request_id: str
    expected_epoch: int
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., percent: _Optional[float] = ..., shadow: _Optional[bool] = ..., request_id: _Optional[str] = ..., expected_epoch: _Optional[int] = ...) -> None: ...

class PromoteCanaryRequest(_message.Message):
    __slots__ = ("model", "version", "expected_epoch", "request_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_EPOCH_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    expected_epoch: int
    request_id: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., expected_epoch: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class AbortCanaryRequest(_message.Message):
    __slots__ = ("model", "version", "reason", "request_id", "expected_epoch")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_EPOCH_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: str
    reason: str
    request_id: str
    expected_epoch: int
    def __init__(self, model: _Optional[str] = ..., version: _Optional[str] = ..., reason: _Optional[str] = ..., request_id: _Optional[str] = ..., expected_epoch: _Optional[int] = ...) -> None: ...

class AbortCanaryResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EnrollRequest(_message.Message):
    __slots__ = ("model", "identity", "image")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    model: str
    identity: str
    image: bytes
    def __init__(self, model: _Optional[str] = ..., identity: _Optional[str] = ..., image: _Optional[bytes] = ...) -> None: ...

class EnrollResponse(_message.Message):
    __slots__ = ("enrolled",)
    ENROLLED_FIELD_NUMBER: _ClassVar[int]
    enrolled: int
    def __init__(self, enrolled: _Optional[int] = ...) -> None: ...

class WithdrawRequest(_message.Message):
    __slots__ = ("model", "identity")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    model: str
    identity: str
    def __init__(self, model: _Optional[str] = ..., identity: _Optional[str] = ...) -> None: ...

class WithdrawResponse(_message.Message):
    __slots__ = ("enrolled",)
    ENROLLED_FIELD_NUMBER: _ClassVar[int]
    enrolled: int
    def __init__(self, enrolled: _Optional[int] = ...) -> None: ...

class CanaryStatus(_message.Message):
    __slots__ = ("version", "percent", "shadow", "verdict", "reason", "stable", "canary", "compared", "agreed")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STABLE_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    COMPARED_FIELD_NUMBER: _ClassVar[int]
    AGREED_FIELD_NUMBER: _ClassVar[int]
    version: str
    percent: float
    shadow: bool
    verdict: str
    reason: str
    stable: SideStatus
    canary: SideStatus
    compared: int
    agreed: int
    def __init__(self, version: _Optional[str] = ..., percent: _Optional[float] = ..., shadow: _Optional[bool] = ..., verdict: _Optional[str] = ..., reason: _Optional[str] = ..., stable: _Optional[_Union[SideStatus, _Mapping]] = ..., canary: _Optional[_Union[SideStatus, _Mapping]] = ..., compared: _Optional[int] = ..., agreed: _Optional[int] = ...) -> None: ...

class SideStatus(_message.Message):
    __slots__ = ("requests", "errors", "mean_seconds")
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    MEAN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    requests: int
    errors: int
    mean_seconds: float
    def __init__(self, requests: _Optional[int] = ..., errors: _Optional[int] = ..., mean_seconds: _Optional[float] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("replica", "version", "previous_version", "epoch", "prepared", "requests_in_flight", "memory_bytes", "canary", "engine", "precision", "requests_waiting", "peak_memory_bytes")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    PREPARED_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_WAITING_FIELD_NUMBER: _ClassVar[int]
    PEAK_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    replica: str
    version: str
    previous_version: str
    epoch: int
    prepared: _containers.RepeatedScalarFieldContainer[str]
    requests_in_flight: int
    memory_bytes: float
    canary: CanaryStatus
    engine: str
    precision: str
    requests_waiting: int
    peak_memory_bytes: float
    def __init__(self, replica: _Optional[str] = ..., version: _Optional[str] = ..., previous_version: _Optional[str] = ..., epoch: _Optional[int] = ..., prepared: _Optional[_Iterable[str]] = ..., requests_in_flight: _Optional[int] = ..., memory_bytes: _Optional[float] = ..., canary: _Optional[_Union[CanaryStatus, _Mapping]] = ..., engine: _Optional[str] = ..., precision: _Optional[str] = ..., requests_waiting: _Optional[int] = ..., peak_memory_bytes: _Optional[float] = ...) -> None: ...

class ListVersionsRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class ListVersionsResponse(_message.Message):
    __slots__ = ("versions",)
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[VersionRecord]
    def __init__(self, versions: _Optional[_Iterable[_Union[VersionRecord, _Mapping]]] = ...) -> None: ...

class VersionRecord(_message.Message):
    __slots__ = ("version", "artifact_uri", "manifest_sha256", "activated_at")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_URI_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_SHA256_FIELD_NUMBER: _ClassVar[int]
    ACTIVATED_AT_FIELD_NUMBER: _ClassVar[int]
    version: str
    artifact_uri: str
    manifest_sha256: str
    activated_at: float
    def __init__(self, version: _Optional[str] = ..., artifact_uri: _Optional[str] = ..., manifest_sha256: _Optional[str] = ..., activated_at: _Optional[float] = ...) -> None: ...
