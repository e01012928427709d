"""Other people's words made fit for our logs: short, on one line, without secrets."""

from __future__ import annotations

import re

MAX_CHARACTERS = 300

_VALUE = r"[^\s\"'<>,;&]+"
_API_KEY = re.compile(rf"(?<![A-Za-z0-9])(al_live_|al_test_|og_){_VALUE}")
_BEARER = re.compile(rf"(?i)\b(bearer|basic)\s+{_VALUE}")
_KEY_HEADER = re.compile(rf"(?i)\b(x-api-key[\"']?\s*[:=]\s*[\"']?){_VALUE}")
_URL_SECRETS = re.compile(r"(?i)(https?://)(?:[^/@\s]*@)?([^\s?#\"'<>]*)[?#][^\s\"'<>]*")
_USERINFO = re.compile(r"(?i)(https?://)[^/@\s]*@")
_SIGNATURE = re.compile(rf"(?i)\b((?:token|sig|signature|x-[a-z]+-signature)=){_VALUE}")
_BREAKS = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]+")
"""Spaces, controls, half characters, and what turns the direction of the text around it."""


def plain(text: str) -> str:
    """One line of at most 300 characters, in which no API key, bearer token or signed URL is left."""
    text = text[: 4 * MAX_CHARACTERS]
    text = _BEARER.sub(r"\1 …", text)
    text = _KEY_HEADER.sub(r"\1…", text)
    text = _API_KEY.sub(r"\1…", text)
    text = _URL_SECRETS.sub(r"\1\2?…", text)
    text = _USERINFO.sub(r"\1", text)
    text = _SIGNATURE.sub(r"\1…", text)
    text = _BREAKS.sub(" ", text).strip()
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"
