"""Coordinate reference systems as records may name them: "EPSG:n" or WKT, and nothing else.

GDAL's reader of such texts also takes names of files, /vsicurl/ URLs that it then asks for, and PROJ strings that name files of their
own; WKT 2 names a grid's file in PARAMETERFILE. Sources: GDAL's OSRSetFromUserInput; OGC 01-009 (WKT 1) and 18-010r7 (WKT 2) for the
keywords.
"""

from __future__ import annotations

import re
from typing import Final

from pesto_stream.converters.words import shortened
from pesto_stream.errors import ImageError

MAX_CRS_CHARACTERS: Final = 16_384
_EPSG: Final = re.compile(r"EPSG:[0-9]{1,9}", re.IGNORECASE)
_WKT: Final = re.compile(
    r"(?:BOUNDCRS|COMPD_CS|COMPOUNDCRS|DERIVEDPROJCRS|ENGCRS|ENGINEERINGCRS|FITTED_CS|GEOCCS|GEODCRS|GEODETICCRS|GEOGCRS|GEOGCS"
    r"|GEOGRAPHICCRS|LOCAL_CS|PROJCRS|PROJCS|PROJECTEDCRS|VERTCRS|VERTICALCRS|VERT_CS)[\[(]",
    re.IGNORECASE,
)
_FILE: Final = re.compile(r"PARAMETERFILE", re.IGNORECASE)


def is_plain(text: str) -> bool:
    """Whether the text is an EPSG code or WKT that refers to no file. Whether GDAL can read it is not looked at."""
    return bool(_EPSG.fullmatch(text) or (_WKT.match(text) and not _FILE.search(text)))


def crs_of(text: str | None, what: str) -> str | None:
    """The CRS that a record names; None for none or an empty text. `what` starts the message. Raises ImageError."""
    if not text:
        return None
    if len(text) > MAX_CRS_CHARACTERS:
        raise ImageError(f"{what} has a CRS of {len(text)} characters: expected at most {MAX_CRS_CHARACTERS}")
    if not is_plain(text):
        raise ImageError(f"{what} has the CRS {shortened(text)}: expected 'EPSG:' and a number, or WKT that names no file")
    return text.upper() if _EPSG.fullmatch(text) else text
