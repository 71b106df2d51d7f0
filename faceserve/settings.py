"""Every setting of the model server: environment variables with the prefix `FACESERVE_`."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

# The older name is that of the private key at the training; it goes on working.
_VERIFYING_KEY = ("FACESERVE_VERIFYING_KEY", "FACESERVE_SIGNING_KEY")
Port = Annotated[int, Field(ge=0, le=65535)]
# gRPC needs brackets around an address of IPv6, sockets none: each gets what it needs.
Host = Annotated[str, AfterValidator(lambda host: host.removeprefix("[").removesuffix("]"))]
ModelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]

# An image as it comes to the model, of 224 x 224 pixels, and what is said beside it.
LEAST_MESSAGE_BYTES = 3 * 224**2 + (1 << 16)


class Settings(BaseSettings):
    """Read by the entry point alone; a docstring under each field says what it changes."""

    model_config = SettingsConfigDict(env_prefix="FACESERVE_", frozen=True, extra="ignore", populate_by_name=True)

    host: Host = "127.0.0.1"
    """Address to listen on; one of IPv6 may stand in brackets."""
    grpc_port: Port = 8500
    """Port for inference; 0 takes a free one."""
    lifecycle_port: Port = 8600
    """Port for the lifecycle service, so that a rollback works while inference is overloaded; 0 takes a free one."""
    http_port: Port | None = None
    """Port for inference over HTTP; empty: none, 0 takes a free one."""
    health_port: Port | None = None
    """Port with health alone and without TLS, for probes that speak none; empty: none, 0 takes a free one."""
    metrics_port: Port = 9500
    """Prometheus `/metrics` port; 0 serves none."""
    replica: str = "replica-1"
    """This replica's name in answers and status."""
    state_dir: Path = Path("faceserve-state")
    """Where the active version and downloaded artifacts are kept across restarts."""
    models: Annotated[tuple[ModelName, ...], Field(min_length=1)] = ("laundry", "face")
    """Model names served; each has its own active version."""
    lifecycle_token: SecretStr = SecretStr("")
    """Bearer token of the lifecycle service; without it every lifecycle call needs a client certificate."""
    lifecycle_token_file: Path | None = None
    """File with such tokens, one a line; what changes in it counts within a second, without a restart."""
    enrolment_token: SecretStr = SecretStr("")
    """Bearer token of `Enroll` and `Withdraw`; the lifecycle's opens `Withdraw`, too, and without one also `Enroll`."""
    enrolment_token_file: Path | None = None
    """File with such tokens, one a line."""
    inference_token: SecretStr = SecretStr("")
    """Bearer token of inference, over gRPC and HTTP; without it everybody who reaches the port may ask."""
    inference_token_file: Path | None = None
    """File with such tokens, one a line."""
    tls_certificate: Path | None = None
    """Certificate chain (PEM) of the ports with TLS; empty: no TLS. A new one counts without a restart."""
    tls_key: Path | None = None
    """Its private key (PEM)."""
    tls_ports: tuple[Literal["lifecycle", "inference", "http"], ...] = ("lifecycle",)
    """Which ports have TLS, if there is a certificate."""
    tls_client_ca: Path | None = None
    """Authority (PEM) whose client certificates are demanded on the lifecycle port (mTLS)."""
    lifecycle_identities: tuple[str, ...] = ()
    """Names in client certificates (common name, DNS name or URI) that may call the lifecycle service."""
    s3_endpoint: str | None = None
    """S3 endpoint; empty for AWS itself. Credentials come from the usual AWS_* variables."""
    photo_buckets: tuple[str, ...] = ("tasks",)
    """Buckets a `uri` may name."""
    gallery_uri: str = ""
    """`s3://bucket/prefix/` with the reference photos of enrolled faces; empty: nobody can be enrolled."""
    registry_url: str = ""
    """MLflow server that is asked at start which version is champion; empty: the state on disk alone decides."""
    registry_user: str = ""
    """Login there, one that only reads; empty: the server asks for none."""
    registry_password: SecretStr = SecretStr("")
    """Its password."""
    log_format: Literal["text", "json"] = "text"
    """How it logs: lines for people, or one JSON object a line."""
    traces: bool = False
    """Whether calls leave OpenTelemetry spans; where to and how many is said by the usual OTEL_* variables."""
    engine: str = "openvino"
    """Inference engine: `openvino`, `onnxruntime` or `tensorflow`."""
    precision: Literal["auto", "f32", "bf16", "int8"] = "auto"
    """`auto`: bf16 where the processor has it and the golden predictions agree, else f32. int8 needs an int8 model."""
    engine_threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """Cores for inference; 0: all that this process may use."""
    batch_images: Annotated[int, Field(ge=1, le=64)] = 1
    """Most images in one engine call; 1 turns batching off, which gains little on CPUs (ADR 0013)."""
    batch_wait_ms: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """How long a waiting request may wait for others to join its batch; with an idle engine none waits."""
    verifying_key: Annotated[Path | None, Field(validation_alias=AliasChoices(*_VERIFYING_KEY))] = None
    """Public key (PEM): models that its owner did not sign are refused. Empty: checksums alone decide."""
    vet_seconds: Annotated[float, Field(ge=0, le=3600)] = 45.0
    """How long a candidate may compute, or wait for anything but the processor, until it has loaded and answered in a
    process of its own; 0 tries it out in the server itself."""
    vet_memory_mb: Annotated[int, Field(ge=256)] = 4096
    """How much memory that process may take, in MB; never more than the container's limit leaves."""
    max_cpu_ms: Annotated[float, Field(gt=0)] = 2000.0
    """Most processor time that a candidate may need for one image, in milliseconds."""
    warm_memory_mb: Annotated[int, Field(ge=0)] = 4096
    """While the server takes less memory than this, the previous version stays loaded: rolling back is one exchange."""
    prepared_hours: Annotated[float, Field(gt=0)] = 6.0
    """A prepared version that nobody activates or tries is dropped after so long."""
    canary_error_rate: Annotated[float, Field(gt=0, lt=0.5)] = 0.001
    """Share of failed requests up to which a candidate on trial counts as sound (the stable version's, if higher)."""
    canary_errors_in_a_row: Annotated[int, Field(ge=1)] = 3
    """This many failed requests one after the other end a trial."""
    canary_latency_ratio: Annotated[float, Field(gt=1)] = 3.0
    """A trial ends when the candidate takes more than this many times as long as the stable version."""
    max_queued: Annotated[int, Field(ge=0, le=4096)] = 128
    """Most requests that wait for an engine; more are refused at once with RESOURCE_EXHAUSTED."""
    max_queued_mb: Annotated[int, Field(ge=1)] = 512
    """Most megabytes of requests that are worked on or wait; beyond that, too, new ones are refused at once."""
    call_seconds: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """How long a model may take for one call before it counts as hanging: a candidate's trial ends then."""
    decoded_megapixels: Annotated[int, Field(ge=1)] = 50
    """Most megapixels of photos that are decoded at once, at 8.5 MB of memory each. A photo counts for what its kind
    takes (`include/contract/decoding_memory.py`), a large one of a phone for a tenth. Others wait for their turn; one
    larger than all that is decoded alone, and none that takes more than 700 MB."""
    max_message_bytes: Annotated[int, Field(ge=LEAST_MESSAGE_BYTES, le=1 << 30)] = 34 * 1024 * 1024
    """Largest request, in bytes: at least one image as a raw tensor, at most as many as `FACESERVE_MAX_QUEUED_MB`."""
    connection_age_seconds: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """When a caller is asked to connect anew, within a tenth more or less: then it hears of replicas that have come
    since, and shows its certificate again. No call is cut off by it, but streams an hour later."""
    calm_ms: Annotated[float, Field(ge=0, le=60_000)] = 150.0
    """How long requests get to catch up after a candidate was loaded, and again before a replaced version is freed."""
    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """How long requests in flight may finish on a version that was replaced, and after SIGTERM."""

    @model_validator(mode="after")
    def _may_be_held(self) -> Self:
        if self.max_message_bytes > self.max_queued_mb << 20:
            raise ValueError(
                f"max_message_bytes: a request of {self.max_message_bytes} bytes would always be refused: all that "
                f"are worked on or wait may have {self.max_queued_mb} MB together (max_queued_mb)"
            )
        return self
