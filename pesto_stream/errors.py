"""Every error of the product, in one tree.

::

    PestoStreamError
    ├─ ConfigurationError           before the first poll: names file, key, value, remedy      exit 2
    │  └─ ProjectError              a PESTO project that does not fit together
    ├─ RecordError                  about ONE record: becomes a dead letter
    │  ├─ EnvelopeError             headers or content type (stage "envelope")
    │  ├─ DecodeError               bytes that are not what their content type says ("decode")
    │  │  ├─ ImageError             an image that cannot be read, or is over a limit
    │  │  ├─ SchemaError            a value that the input schema refuses
    │  │  └─ FetchRefused           a URL that may not be read, is not there, or is too slow or too large
    │  ├─ AlgorithmError            user code raised, or returned what it may not ("algorithm")
    │  │  └─ AlgorithmTimeout
    │  ├─ EncodeError               an output that breaks the output schema, or is too large ("encode")
    │  └─ UnexpectedError           a bug, ours or a library's, met on this record; logged with its traceback
    ├─ TransientError               trouble outside: retried with back-off, then the runtime stops
    │  ├─ BrokerUnavailable
    │  └─ StoreUnavailable          an object store or HTTP server that is down
    ├─ NotCompatible                a schema that the registry's rule refuses                 exit 5
    ├─ RequestRefused               about ONE request over HTTP, which was not begun: the client may try again
    │  ├─ TooManyRequests
    │  └─ NotServing                starting, draining, stopped
    └─ FatalError                   stop, non-zero exit, nothing committed beyond what is settled   exit 3
       ├─ DeadLetterUnavailable
       ├─ DeviceLost
       └─ AuthorizationFailed

A message names what was attempted, the offending value in quotes, and what was expected or what to do.
"""

from __future__ import annotations


class PestoStreamError(Exception):
    """Base of all errors raised on purpose by this package."""


class ConfigurationError(PestoStreamError):
    """The settings or the project are wrong; found before the first poll."""


class ProjectError(ConfigurationError):
    """A PESTO project whose files do not fit together."""


class RecordError(PestoStreamError):
    """About one record; ends as a dead letter. `stage` is the stage that found it."""

    stage = "record"


class EnvelopeError(RecordError):
    """The record's headers or content type are not what the contract says."""

    stage = "envelope"


class DecodeError(RecordError):
    """The payload is not what its content type declares."""

    stage = "decode"


class ImageError(DecodeError):
    """An image that cannot be read or is over a limit."""


class SchemaError(DecodeError):
    """A value that the algorithm's input schema refuses."""


class FetchRefused(DecodeError):
    """A URL that may not be read, does not exist, or is too slow or too large."""


class AlgorithmError(RecordError):
    """The algorithm raised, or returned something it may not return."""

    stage = "algorithm"


class AlgorithmTimeout(AlgorithmError):
    """The algorithm took longer than `algorithm.timeout_seconds`."""


class EncodeError(RecordError):
    """The output breaks the algorithm's own output schema, or is too large for the broker."""

    stage = "encode"


class UnexpectedError(RecordError):
    """An exception that nobody foresaw. A dead letter, so that one record cannot stop the fleet; always worth a report."""

    def __init__(self, message: str, stage: str) -> None:
        super().__init__(message)
        self.stage = stage


class TransientError(PestoStreamError):
    """Trouble outside this record and this process; worth trying again."""


class BrokerUnavailable(TransientError):
    """The broker did not answer or did not take a record in time."""


class StoreUnavailable(TransientError):
    """An object store or HTTP server is down."""


class NotCompatible(PestoStreamError):
    """A schema that may not follow the one that is registered; nothing was registered."""


class RequestRefused(PestoStreamError):
    """A request over HTTP that was not done, through no fault of its own; worth trying again."""


class TooManyRequests(RequestRefused):
    """As many requests as this process takes at once are being worked on."""


class NotServing(RequestRefused):
    """This process does not take requests now, or gave the request up when it stopped."""


class FatalError(PestoStreamError):
    """The runtime must stop; offsets of unsettled records stay uncommitted."""


class DeadLetterUnavailable(FatalError):
    """A dead letter could not be written; nothing may be dropped, so the runtime stops."""


class DeviceLost(FatalError):
    """The accelerator failed; not the record's fault."""


class AuthorizationFailed(FatalError):
    """The broker refuses this client; trying again does not help."""
