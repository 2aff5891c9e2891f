"""What SARIF 2.1.0 requires of the objects that we write, as a JSON schema.

Names, required properties, types and enumerations are those of the standard (its sections 3.13 to
3.58); properties that we do not write are left out, and so refused.  ``SARIF_SCHEMA=FILE`` makes
the tests use the official schema (sarif-schema-2.1.0.json of OASIS) as well.
"""

from __future__ import annotations

from typing import Any

LEVEL = {"enum": ["none", "note", "warning", "error"]}
TEXT = {"type": "string"}
POSITIVE = {"type": "integer", "minimum": 1}


def obj(required: tuple[str, ...], **properties: object) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


def many(items: object) -> dict[str, Any]:
    return {"type": "array", "items": items}


BAG = {"type": "object", "properties": {"tags": many(TEXT) | {"uniqueItems": True}}}
MESSAGE = obj(("text",), text=TEXT, markdown=TEXT)
URI = {"type": "string", "pattern": r"^(file:///)?[A-Za-z0-9._~%!$&'()*+,;=:@/-]+$"}
ARTIFACT = obj(("uri",), uri=URI, uriBaseId=TEXT)
REGION = obj(("startLine",), startLine=POSITIVE, endLine=POSITIVE, startColumn=POSITIVE)
PHYSICAL = obj(("artifactLocation",), artifactLocation=ARTIFACT, region=REGION)
LOGICAL = obj((), fullyQualifiedName=TEXT, kind=TEXT)
LOCATION = obj(
    (),
    id={"type": "integer", "minimum": -1},
    message=MESSAGE,
    physicalLocation=PHYSICAL,
    logicalLocations=many(LOGICAL) | {"uniqueItems": True},
)
RULE = obj(
    ("id",),
    id=TEXT,
    name=TEXT,
    shortDescription=MESSAGE,
    fullDescription=MESSAGE,
    help=MESSAGE,
    defaultConfiguration=obj((), level=LEVEL),
    properties=BAG,
)
RESULT = obj(
    ("message",),
    ruleId=TEXT,
    ruleIndex={"type": "integer", "minimum": -1},
    level=LEVEL,
    message=MESSAGE,
    locations=many(LOCATION),
    relatedLocations=many(LOCATION) | {"uniqueItems": True},
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
    occurrenceCount=POSITIVE,
    properties=BAG,
)
NOTIFICATION = obj(
    ("message",), level=LEVEL, message=MESSAGE, associatedRule=obj((), id=TEXT, index={})
)
RUN = obj(
    ("tool",),
    tool=obj(
        ("driver",),
        driver=obj(
            ("name",),
            name=TEXT,
            version=TEXT,
            semanticVersion={"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
            rules=many(RULE) | {"uniqueItems": True},
        ),
    ),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    originalUriBaseIds={
        "type": "object",
        "additionalProperties": obj((), uri=URI, description=MESSAGE),
    },
    invocations=many(
        obj(
            ("executionSuccessful",),
            executionSuccessful={"type": "boolean"},
            toolExecutionNotifications=many(NOTIFICATION),
        )
    ),
    results=many(RESULT),
)
SCHEMA = obj(
    ("version", "runs"), **{"$schema": TEXT, "version": {"enum": ["2.1.0"]}, "runs": many(RUN)}
)
