"""What a backfill would do: the object that `ingestor plan --json` prints.

discovered             = already_live + duplicates + to_upload + skipped + deferred + quarantined
to_upload, tokens      = new + changed + expired (uploaded before) + in_line (waiting already)
as_found, resized, reencoded, recoded, stripped, trimmed, mended, turned, first_frame, colour
                       what is done to those; several may be to one image
skipped_reasons, deferred_reasons, quarantined_reasons  reason to number; deferred is not ready, such as empty
bytes_read             of the images to be uploaded
quota                  as in `ingestor status`
seconds, ends_at       until the last upload has its token; nothing but the quota is counted
expired_before_end     ids of this run that end before its last image is uploaded
live_that_end_before   ids that are live now, of these images, and have ended by then
problems               path, reason, message of what is not uploaded; at most 10,000
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from ingestor.cli.supply import supply_numbers
from ingestor.observe.instants import rfc3339
from ingestor.policy.forecast import Supply, forecast
from ingestor.runtime.plan import Plan


def numbers(plan: Plan, supply: Supply, now: datetime) -> dict[str, Any]:
    """That object. `now` is when the run would begin."""
    expected = forecast(plan.to_upload, supply)
    ends_at = now + timedelta(seconds=min(expected.seconds, 100 * 365 * 86400.0))
    return {
        "discovered": plan.discovered,
        "already_live": plan.already_live,
        "duplicates": plan.duplicates,
        "to_upload": plan.to_upload,
        "skipped": plan.skipped.total(),
        "deferred": plan.deferred.total(),
        "quarantined": plan.quarantined.total(),
        "new": plan.new,
        "changed": plan.changed,
        "expired": plan.expired,
        "in_line": plan.in_line,
        "as_found": plan.work["as_found"],
        "resized": plan.work["resized"],
        "reencoded": plan.work["webp"],
        "recoded": plan.work["recoded"],
        "stripped": plan.work["stripped"],
        "trimmed": plan.work["trimmed"],
        "mended": plan.work["mended"],
        "turned": plan.work["turned"],
        "first_frame": plan.work["first_frame"],
        "colour": plan.work["colour"],
        "skipped_reasons": _by_number(plan.skipped),
        "deferred_reasons": _by_number(plan.deferred),
        "quarantined_reasons": _by_number(plan.quarantined),
        "bytes_read": plan.bytes_read,
        "quota": supply_numbers(supply),
        "tokens": plan.to_upload,
        "seconds": round(expected.seconds, 3),
        "ends_at": rfc3339(ends_at.replace(microsecond=0)),
        "expired_before_end": expected.expired_before_end,
        "live_that_end_before": plan.live_that_end_by(ends_at),
        "problems": [_problem(asdict(problem)) for problem in plan.problems],
    }


def _by_number(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _problem(problem: dict[str, Any]) -> dict[str, Any]:
    return {key: problem[key] for key in ("path", "reason", "message")}
