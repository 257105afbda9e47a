"""The settings: one typed model. Each field has a default, a unit in its name or sentence, and a sentence.

The tables in the docs are generated from here (`pesto_stream.config.table`). Layers and provenance are in `pesto_stream.config.load`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Positive = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(ge=1)]
TopicName = Annotated[
    str,
    Field(
        title="topic name: letters, digits, '.', '_', '-', at most 249",
        max_length=249,
        pattern=r"^[A-Za-z0-9._-]*[A-Za-z0-9_-][A-Za-z0-9._-]*$",
    ),
]
"""Kafka's rule for topic names; a name that begins with `^` would be a regular expression to the client."""

MIB = 1 << 20
LARGEST_RECORD_BYTES = 1_000_000_000
"""librdkafka's own maximum of `message.max.bytes`."""


class Section(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Topics(Section):
    input: TopicName | None = None
    """Topic that tile records are read from."""
    output: TopicName | None = None
    """Topic that results are written to."""
    dead_letter: TopicName | None = None
    """Topic for records that cannot be processed; default: the input topic's name and `.dead-letter`."""


class Kafka(Section):
    bootstrap_servers: str = "localhost:9092"
    """Comma-separated host:port list."""
    group_id: str | None = None
    """Consumer group; default: the project's name."""
    group_protocol: Literal["classic", "consumer"] = "classic"
    """Rebalance protocol: `classic` (cooperative-sticky) or `consumer` (KIP-848, brokers from 4.0)."""
    group_instance_id: str | None = None
    """Static membership: an id that is stable over restarts."""
    session_timeout_seconds: Positive | None = None
    """Silence after which the broker takes a member for dead, with `classic`; none: the client's 45 s. Brokers refuse less than 6 s."""
    start: Literal["earliest", "latest"] = "earliest"
    """Where a group without committed offsets starts."""
    startup_timeout_seconds: Positive = 120.0
    """How long to wait for a broker at start before giving up."""
    unavailable_timeout_seconds: Positive = 120.0
    """How long the broker may be away in operation before the runtime stops."""
    delivery_timeout_seconds: Positive = 120.0
    """How long the delivery of one result may take, retries of the client included, before the runtime stops."""
    max_record_mib: Annotated[float, Field(gt=0, le=LARGEST_RECORD_BYTES // MIB)] = 16.0
    """Largest record that this client sends, in MiB; a larger result is a dead letter. Topics have a limit of their own."""
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "none"
    """Compression of what is produced; encoded images gain nothing from it."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How the broker is spoken to."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """SASL mechanism, where the protocol has SASL."""
    sasl_username: str | None = None
    """SASL user name."""
    sasl_password: SecretStr | None = None
    """SASL password; best given by environment."""
    ssl_ca_location: str | None = None
    """File with the certificates of the authorities that are trusted."""
    properties: dict[str, str | int | float | bool] = Field(default_factory=dict, repr=False)
    """Anything else for librdkafka, by its own names. What would break a promise is refused."""


class Algorithm(Section):
    concurrency: PositiveInt = 1
    """Parallel calls of `process`; an algorithm may cap it with a class attribute `max_concurrency`."""
    timeout_seconds: Positive | None = None
    """Longest time of one `process` call; none: no limit. See "A tile over its time" in the docs."""
    without_gpu: Literal["error", "cpu"] = "error"
    """Where profile `gpu` is active and no GPU can be used: stop with an error, or run an `OnnxAlgorithm` on the CPU."""


class Stages(Section):
    decode_threads: PositiveInt = 1
    """Threads that decode requests."""
    encode_threads: PositiveInt = 1
    """Threads that encode results."""


class Memory(Section):
    in_flight_mib: Positive = 256.0
    """Bytes of records and decoded tiles between poll and delivery, in MiB. The client's queues are derived from it."""


class Commit(Section):
    interval_seconds: Positive = 1.0
    """Time between commits while there is something to commit."""


class Limits(Section):
    max_image_mib: Positive = 256.0
    """Largest decoded image, in MiB."""
    max_encoded_mib: Positive = 64.0
    """Largest encoded image (in a record or behind a URL), in MiB."""
    max_pixels: PositiveInt = 16384 * 16384
    """Largest width times height of an image, in pixels."""
    max_bands: PositiveInt = 512
    """Most bands of an image."""
    max_json_mib: Positive = 64.0
    """Largest JSON payload, in MiB."""
    max_json_depth: PositiveInt = 64
    """Deepest nesting of a JSON payload."""
    max_images: PositiveInt = 64
    """Most images of one request."""


class Urls(Section):
    allow: list[str] = Field(default_factory=list)
    """Prefixes scheme://host[:port]/path that images may be read from; `file:///folder/` for local files. Default: none."""
    allow_private: bool = False
    """Allow targets in private, loopback and link-local networks."""
    connect_timeout_seconds: Positive = 5.0
    """Longest time to connect."""
    timeout_seconds: Positive = 30.0
    """Longest time of one image's download, redirects and all."""
    max_redirects: Annotated[int, Field(ge=0)] = 3
    """Redirects followed, each checked against the allow-list."""
    ca_file: str | None = None
    """PEM file with certificates of authorities to trust besides the system's, for https and for the endpoints of s3 and gs."""
    s3_endpoint: str | None = None
    """Endpoint of an S3-compatible store, where it is not AWS."""
    s3_region: str = "us-east-1"
    """Region of the S3 store."""
    s3_access_key_id: SecretStr | None = None
    """S3 access key; best given by environment. None: the machine's own credentials."""
    s3_secret_access_key: SecretStr | None = None
    """S3 secret key; best given by environment."""
    s3_anonymous: bool = False
    """Read public S3 buckets without credentials."""
    gs_service_account_file: str | None = None
    """Service account file for Google Cloud Storage. None: the machine's own credentials."""
    gs_endpoint: str | None = None
    """Endpoint of a GCS-compatible store, where it is not Google's."""


class Output(Section):
    content_type: Literal["same", "application/json", "application/avro", "image"] = "same"
    """Kind of the result: `same` as the request, or always this one."""
    image_format: Literal["auto", "tiff", "png", "npy"] = "auto"
    """Format of image outputs. `auto`: NPY for NPY, raster for raster, else GeoTIFF where georeferenced or PNG cannot hold it, else PNG."""
    event_type: str = "pesto.result"
    """CloudEvents type of results."""
    event_source: str | None = None
    """CloudEvents source of results; default: `/pesto/<algorithm>/<version>`."""


class Input(Section):
    content_type: str | None = None
    """Content type of records that carry none."""


class SchemaRegistry(Section):
    url: str | None = None
    """Confluent-compatible schema registry; with it, Avro travels in Confluent framing."""
    username: str | None = None
    """User name for the registry."""
    password: SecretStr | None = None
    """Password for the registry; best given by environment."""


class Http(Section):
    host: str = "127.0.0.1"
    """Address that the sidecar listens on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port of the sidecar; 0: any free one."""
    enabled: bool = True
    """Whether the sidecar runs."""
    process: bool = False
    """Whether the sidecar answers PESTO's `POST /api/v1/process`; with `/api/v1/jobs` where the project is asynchronous."""
    max_requests: PositiveInt = 8
    """Most processing requests at once; one more is answered 429."""
    max_body_mib: Positive = 64.0
    """Largest body of a processing request, in MiB."""
    transfer_seconds: Positive = 60.0
    """Longest time for a client to send a processing request, and to take its answer."""
    timeout_seconds: Positive = 300.0
    """Longest wait for the answer of a synchronous request; asynchronous ones may take as long as they like."""
    public_url: Annotated[str, Field(title="URL that begins with http:// or https://", pattern=r"^https?://[^\s?#]+$")] | None = (
        None
    )
    """Address of the sidecar in the links that it gives; default: the one that the client asked."""
    max_jobs: PositiveInt = 100
    """Most asynchronous jobs that are remembered; the oldest that is done makes room for a new one."""
    jobs_mib: Positive = 256.0
    """Results of asynchronous jobs that are kept, in MiB; the oldest make room."""
    jobs_seconds: Positive = 3600.0
    """How long the results of an asynchronous job are kept."""


class Health(Section):
    stuck_seconds: Positive = 600.0
    """A tile longer than this in decode or encode makes the process not live."""
    loop_stuck_seconds: Positive = 60.0
    """A loop that has not turned for so long makes the process not live."""


class Shutdown(Section):
    drain_seconds: Positive = 25.0
    """Longest time to finish what is in flight on SIGTERM, before it is left to others."""
    revoke_seconds: Positive = 10.0
    """Longest time to finish tiles of a partition that is being taken away."""


class Retry(Section):
    attempts: PositiveInt = 3
    """Tries of a tile against trouble outside (an object store that is down) before the runtime stops."""
    initial_seconds: Positive = 0.5
    """First back-off."""
    max_seconds: Positive = 30.0
    """Longest back-off."""


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is written."""
    format: Literal["auto", "console", "json"] = "auto"
    """`auto`: console on a terminal, else JSON."""


class Settings(Section):
    """All settings of a runtime."""

    delivery: Literal["at-least-once", "exactly-once", "queue"] = "at-least-once"
    """Delivery mode. Only `at-least-once` is there yet."""
    ordering: Literal["none", "key", "partition"] = "none"
    """Which tiles keep their order: none, those of one key, or those of one partition."""
    topics: Topics = Topics()
    kafka: Kafka = Kafka()
    algorithm: Algorithm = Algorithm()
    stages: Stages = Stages()
    memory: Memory = Memory()
    commit: Commit = Commit()
    limits: Limits = Limits()
    urls: Urls = Urls()
    input: Input = Input()
    output: Output = Output()
    schema_registry: SchemaRegistry = SchemaRegistry()
    http: Http = Http()
    health: Health = Health()
    shutdown: Shutdown = Shutdown()
    retry: Retry = Retry()
    log: Log = Log()

    @property
    def dead_letter_topic(self) -> str | None:
        """Where dead letters go: as set, else beside the input topic."""
        if self.topics.dead_letter is not None or self.topics.input is None:
            return self.topics.dead_letter
        return f"{self.topics.input}.dead-letter"
