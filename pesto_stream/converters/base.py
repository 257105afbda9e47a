"""The converter layer's contract: payload bytes to algorithm values and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pesto_stream.model.envelope import Envelope
    from pesto_stream.model.invocation import EncodedPayload, Invocation
    from pesto_stream.model.tile import Region, Tile, Window


class ImageSource(Protocol):
    """Reads an image that a payload only names. Implemented by `pesto_stream.fetch`."""

    def read(self, url: str, window: Window | Region | None = None) -> tuple[Tile, str]:
        """The image, or one window of it without the rest, and its media type. Of a region, the part inside of the image is read.

        Raises FetchRefused (not allowed, not there, too slow, too large), ImageError, StoreUnavailable.
        """


class Converter(Protocol):
    """One kind of payload. Pure but for the ImageSource it was given."""

    @property
    def media_types(self) -> tuple[str, ...]: ...

    def decode(self, envelope: Envelope) -> Invocation:
        """Raises DecodeError and its children; StoreUnavailable where an image's server is down."""

    def encode(self, invocation: Invocation, outputs: dict[str, Any]) -> EncodedPayload:
        """Raises EncodeError where the outputs do not fit the output schema or this kind of payload."""


class PayloadConverters(Protocol):
    """All kinds of payload together: each envelope goes to the converter of its content type."""

    def decode(self, envelope: Envelope) -> Invocation:
        """As `Converter.decode`; EnvelopeError where no converter takes the content type."""

    def encode(self, invocation: Invocation, outputs: dict[str, Any]) -> EncodedPayload:
        """As `Converter.encode`, in the request's kind or the one that is configured."""
