"""Which services take an image: its description (schemas/v1, `image`) against the `inputCapabilities` of describe documents. Pure.

A restriction on something that the image does not say is not met: an orchestrator should not send it on a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pesto_stream.contract.wire import problems
from pesto_stream.errors import ConfigurationError
from pesto_stream.model.spec import IMAGE_REF, IMAGES_REF

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CAPABILITIES: Final = "inputCapabilities"


@dataclass(frozen=True, slots=True)
class Answer:
    """`inputs` are the image inputs that take it; `reasons` why others do not, empty where all do."""

    service: str
    version: str
    inputs: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def accepts(self) -> bool:
        return bool(self.inputs)

    def document(self) -> dict[str, Any]:
        about = {"service": self.service, "version": self.version, "accepts": self.accepts}
        return {**about, "inputs": list(self.inputs), "reasons": list(self.reasons)}


class _Rule(NamedTuple):
    """`place` in the capabilities and in the image, and what it is called."""

    place: tuple[str, ...]
    label: str


_RANGES: Final = (
    _Rule(("dimensions", "width"), "width"),
    _Rule(("dimensions", "height"), "height"),
    _Rule(("resolution",), "resolution"),
)
_CHOICES: Final = (
    _Rule(("type", "bitDepth"), "bit depth"),
    _Rule(("type", "sampleType"), "sample type"),
    _Rule(("type", "format"), "format"),
    _Rule(("type", "compression"), "compression"),
    _Rule(("type", "referenceFormat"), "reference format"),
    _Rule(("acquisition", "mission"), "mission"),
    _Rule(("acquisition", "satellite"), "satellite"),
    _Rule(("acquisition", "sensor"), "sensor"),
)
_REGION: Final = (
    _Rule(("regionOfInterest", "margin"), "margin of the region"),
    _Rule(("regionOfInterest", "lineNumber"), "lines of the region"),
)


def check_image(image: Any, shown: str) -> None:
    """Raises ConfigurationError for a description that breaks its schema; `shown` is where it came from."""
    if wrong := problems("image", image):
        raise ConfigurationError(f"'{shown}' is no description of an image: {wrong[0]} (schemas/v1/image.schema.json)")


def match(image: Mapping[str, Any], describe: Mapping[str, Any]) -> Answer:
    """`image` has passed `check_image`; `describe` is anybody's describe document."""
    service, version = str(describe.get("name", "?")), str(describe.get("version", "?"))
    capabilities = describe.get(CAPABILITIES) or {}
    if wrong := problems("inputCapabilities", capabilities):
        return Answer(service, version, (), (f"its {CAPABILITIES} are not as the schema says: {wrong[0]}",))
    inputs = list(_image_inputs(describe))
    if not inputs:
        return Answer(service, version, (), ("it takes no image",))
    reasons = {name: list(_objections(image, _one_name(capabilities.get(name, {})))) for name in inputs}
    taking = tuple(name for name in inputs if not reasons[name])
    said = (f"input '{name}': {reason}" for name in inputs for reason in reasons[name])
    unknown = (f"its {CAPABILITIES} name '{name}', which is no image input" for name in capabilities if name not in inputs)
    return Answer(service, version, taking, (*said, *unknown))


def _image_inputs(describe: Mapping[str, Any]) -> Iterator[str]:
    side = describe.get("input")
    properties = side.get("properties") if isinstance(side, dict) else None
    for name, schema in properties.items() if isinstance(properties, dict) else ():
        items = schema.get("items") if isinstance(schema, dict) else None
        references = [one.get("$ref") for one in (schema, items) if isinstance(one, dict)]
        if any(reference in (IMAGE_REF, IMAGES_REF) for reference in references):
            yield name


def _one_name(capabilities: Mapping[str, Any]) -> Mapping[str, Any]:
    """`sensor` is what `acquisition` was called."""
    return {**capabilities, "acquisition": {**capabilities.get("sensor", {}), **capabilities.get("acquisition", {})}}


def _objections(image: Mapping[str, Any], capabilities: Mapping[str, Any]) -> Iterator[str]:
    for rule in _RANGES:
        yield from _outside(rule.label, _at(image, rule.place), _at(capabilities, rule.place))
    for rule in _CHOICES:
        yield from _not_among(rule.label, _at(image, rule.place), _at(capabilities, rule.place))
    yield from _bands(image, capabilities.get("type", {}))
    yield from _ephemeris(image.get("ephemeris", {}), capabilities.get("ephemeris", []))
    for rule in _REGION if "regionOfInterest" in image else ():
        yield from _outside(rule.label, _at(image, rule.place), _at(capabilities, rule.place))


def _at(document: Mapping[str, Any], place: tuple[str, ...]) -> Any:
    found: Any = document
    for name in place:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _unsaid(label: str) -> str:
    return f"the image does not say its {label}, which the service restricts"


def _outside(label: str, value: Any, limits: Any) -> Iterator[str]:
    if not limits or not {"min", "max"} & limits.keys():
        return
    if value is None:
        yield _unsaid(label)
    elif value < limits.get("min", value):
        yield f"{label} {value:g} is below {limits['min']:g}"
    elif value > limits.get("max", value):
        yield f"{label} {value:g} is above {limits['max']:g}"


def _not_among(label: str, value: Any, choices: Any) -> Iterator[str]:
    if not choices:
        return
    if value is None:
        yield _unsaid(label)
    elif _folded(value) not in map(_folded, choices):
        yield f"{label} '{value}' is not among {', '.join(map(str, choices))}"


def _folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _bands(image: Mapping[str, Any], kinds: Mapping[str, Any]) -> Iterator[str]:
    supported, required = kinds.get("bands"), kinds.get("requiredBands", ())
    if not supported and not required:
        return
    bands = [_band_names(band) for band in image.get("type", {}).get("bands", ())]
    if not bands:
        yield _unsaid("bands")
        return
    for names in bands:
        if supported and names.isdisjoint(supported):
            yield f"band '{min(names)}' is not among {', '.join(supported)}"
    for name in required:
        if not any(name in names for names in bands):
            yield f"band '{name}' is missing"


def _band_names(band: Any) -> set[str]:
    return {band} if isinstance(band, str) else {band["name"], band.get("commonName", band["name"])}


def _ephemeris(known: Mapping[str, Any], wanted: Any) -> Iterator[str]:
    for name in wanted:
        if name not in known:
            yield _unsaid(f"ephemeris '{name}'").replace("restricts", "needs")
        elif isinstance(wanted, dict):
            yield from _outside(name, known[name], wanted[name])
