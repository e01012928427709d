from __future__ import annotations

import pytest

from ingestor.policy.file_systems import events_may_lie, file_system_type

MOUNTINFO = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:45 / /mnt/nas rw,relatime shared:9 - nfs4 nas:/photos rw,vers=4.2
31 22 0:46 / /mnt/drop\\040box rw - fuse.sshfs host: rw
32 22 0:47 / /mnt/odd
"""


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse", "9p", "virtiofs", "NFS"])
def test_file_systems_that_others_write_to_are_not_trusted_with_events(kind: str) -> None:
    assert events_may_lie(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "f2fs"])
def test_local_file_systems_are(kind: str) -> None:
    assert not events_may_lie(kind)


@pytest.mark.parametrize(
    ("device", "kind"), [("254:1", "ext4"), ("0:45", "nfs4"), ("0:46", "fuse.sshfs"), ("0:47", None), ("9:9", None)]
)
def test_the_type_is_found_by_the_device(device: str, kind: str | None) -> None:
    assert file_system_type(MOUNTINFO, device) == kind
