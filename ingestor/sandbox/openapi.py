"""The description served at /openapi.json (OpenAPI 3.1): every answer that the three endpoints give."""

from __future__ import annotations

from typing import Any

from ingestor.sandbox.files import MAX_KEY_CHARS
from ingestor.sandbox.forms import MAX_METADATA_CHARS, PURPOSES
from ingestor.sandbox.images import MAX_BYTES, MAX_SIDE_PX

Json = dict[str, Any]

_MIME_TYPES = ["image/png", "image/jpeg", "image/webp"]
_ERROR_TYPES = ["invalid_request", "authentication", "not_found", "rate_limit", "server_error"]
_VERSION = r"^\d{4}-\d{2}-\d{2}$"
_ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_EXAMPLE_ID = "file_01HXMQ7Z3K8Y2NABCDEFGHJKMN"
_INSTANT = {"type": "string", "format": "date-time"}
_SIDE = {"type": "integer", "minimum": 1, "maximum": MAX_SIDE_PX}


def describe(base_url: str) -> Json:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Files API (sandbox)",
            "version": "2026-05-15",
            "description": "Reference images, kept for 24 hours. Each image is decoded before it is taken.",
        },
        "servers": [{"url": base_url}],
        "security": [{"apiKey": []}, {"bearer": []}],
        "paths": {
            "/v1/files": {"parameters": [_version()], "post": _upload()},
            "/v1/files/{id}": {"parameters": [_file_id(), _version()], "get": _get(), "delete": _delete()},
        },
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "schemas": {"File": _file(), "Deleted": _deleted(), "Error": _error()},
        },
    }


# -- operations


def _upload() -> Json:
    replayed = {
        "Aurous-Idempotent-Replayed": {
            "description": "This is the cached answer of the first call with the key.",
            "schema": {"type": "string", "const": "true"},
        }
    }
    return {
        "operationId": "uploadFile",
        "summary": "Upload a reference file",
        "parameters": [_idempotency_key()],
        "requestBody": {"required": True, "content": {"multipart/form-data": _form()}},
        "responses": {
            "201": {
                "description": "File stored",
                "headers": _headers(**replayed),
                "content": _json("File"),
                "links": {
                    "get": {"operationId": "getFile", "parameters": {"id": "$response.body#/id"}},
                    "delete": {"operationId": "deleteFile", "parameters": {"id": "$response.body#/id"}},
                },
            },
            "400": _refusal("A field is missing, malformed or out of range; `param` names it."),
            "402": _refusal("The balance of the team is too low."),
            "409": _refusal("The Idempotency-Key is in flight, or was used with another body or route."),
            **_common_refusals(),
        },
    }


def _get() -> Json:
    return {
        "operationId": "getFile",
        "summary": "A file, with a fresh signed URL",
        "responses": {
            "200": {"description": "The file", "headers": _headers(), "content": _json("File")},
            "400": _refusal("Aurous-Version is malformed."),
            "404": _refusal("The file was purged, has expired, or never was."),
            **_common_refusals(),
        },
    }


def _delete() -> Json:
    return {
        "operationId": "deleteFile",
        "summary": "Purge a file now; idempotent",
        "responses": {
            "200": {
                "description": "There is no such file now",
                "headers": _headers(),
                "content": _json("Deleted"),
            },
            "400": _refusal("Aurous-Version is malformed."),
            **_common_refusals(),
        },
    }


def _common_refusals() -> Json:
    wait = {"Retry-After": {"description": "Seconds, or an HTTP date.", "schema": {"type": "string"}}}
    return {
        "401": _refusal("The API key is missing, unknown or revoked."),
        "403": _refusal("The API key lacks a scope."),
        "429": _refusal("The team has no calls left for now.", **wait),
        "500": _refusal("An error of the server."),
        "502": _refusal("A provider is unavailable."),
        "503": _refusal("A provider is unavailable."),
        "504": _refusal("A provider took too long."),
    }


# -- parameters and bodies


def _version() -> Json:
    return {
        "name": "Aurous-Version",
        "in": "header",
        "required": False,
        "description": "API version pin; the applied one is echoed.",
        "schema": {"type": "string", "format": "date", "pattern": _VERSION},
        "example": "2026-05-15",
    }


def _idempotency_key() -> Json:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "The same key with the same body gives the cached answer for 24 hours.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS},
    }


def _file_id() -> Json:
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
        "example": _EXAMPLE_ID,
    }


def _form() -> Json:
    properties = {
        "file": {
            "description": f"At most {MAX_BYTES} bytes and {MAX_SIDE_PX} pixels wide and high.",
            "type": "string",
            "format": "binary",
        },
        "purpose": {"type": "string", "enum": list(PURPOSES)},
        "metadata": {
            "description": f"Sent as its JSON text, of at most {MAX_METADATA_CHARS} characters.",
            "type": "object",
        },
    }
    return {
        "schema": {"type": "object", "required": ["file", "purpose"], "properties": properties},
        "encoding": {
            "file": {"contentType": ", ".join(_MIME_TYPES)},
            "metadata": {"contentType": "application/json"},
        },
    }


# -- answers


def _headers(**more: Json) -> Json:
    count = {"type": "integer", "minimum": 0}
    return {
        "Aurous-Request-Id": {"required": True, "schema": {"type": "string", "pattern": f"^req_{_ULID}$"}},
        "Aurous-Version": {"required": True, "schema": {"type": "string", "format": "date", "pattern": _VERSION}},
        "X-RateLimit-Limit": {"required": True, "description": "Capacity.", "schema": count},
        "X-RateLimit-Remaining": {
            "required": True,
            "description": "Calls left.",
            "schema": count,
        },
        "X-RateLimit-Reset": {
            "required": True,
            "description": "Epoch second at which the bucket is full again.",
            "schema": count,
        },
        **more,
    }


def _refusal(description: str, **headers: Json) -> Json:
    return {"description": description, "headers": _headers(**headers), "content": _json("Error")}


def _json(name: str) -> Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _object(required: list[str], properties: Json) -> Json:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}


def _file() -> Json:
    properties = {
        "id": {"type": "string", "pattern": f"^file_{_ULID}$", "examples": [_EXAMPLE_ID]},
        "object": {"const": "file"},
        "purpose": {"type": "string", "enum": list(PURPOSES)},
        "mime_type": {"type": "string", "enum": _MIME_TYPES},
        "size_bytes": {"type": "integer", "minimum": 1, "maximum": MAX_BYTES},
        "width_px": _SIDE,
        "height_px": _SIDE,
        "url": {"type": "string", "format": "uri", "description": "Signed; ends after an hour."},
        "expires_at": {**_INSTANT, "description": "The file is purged at this instant."},
        "created_at": _INSTANT,
    }
    metadata = {"metadata": {"type": "object", "description": "As sent; absent where none was."}}
    return _object(list(properties), properties | metadata)


def _deleted() -> Json:
    properties = {"deleted": {"const": True}, "id": {"type": "string"}, "object": {"const": "file"}}
    return _object(list(properties), properties)


def _error() -> Json:
    properties = {
        "type": {"type": "string", "enum": _ERROR_TYPES},
        "code": {"type": "string"},
        "message": {"type": "string"},
        "param": {"type": ["string", "null"]},
        "doc_url": {"type": "string", "format": "uri"},
        "request_id": {"type": "string", "pattern": f"^req_{_ULID}$"},
    }
    return _object(["error"], {"error": _object(list(properties), properties)})
