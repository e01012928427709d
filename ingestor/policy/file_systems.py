"""Which file systems can be trusted with events. On the others a folder is polled (LESSONS: events that lie)."""

from __future__ import annotations

NETWORK_AND_FUSE = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "coda", "drvfs", "fuse", "fuseblk", "gfs2", "glusterfs", "gpfs",
        "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb2", "smb3", "smbfs", "v9fs", "vboxsf", "virtiofs", "vmhgfs",
        "webdav",
    }
)  # fmt: skip
"""Types as /proc/self/mountinfo names them; `fuse.*` counts as `fuse`."""


def events_may_lie(kind: str) -> bool:
    """Whether changes made elsewhere may give no event on a file system of this type."""
    return kind.partition(".")[0].lower() in NETWORK_AND_FUSE


def file_system_type(mountinfo: str, device: str) -> str | None:
    """The type of the file system with this `major:minor`, from the text of /proc/self/mountinfo. proc(5)."""
    for line in mountinfo.splitlines():
        mount, _, rest = line.partition(" - ")
        fields = mount.split()
        if len(fields) > 2 and fields[2] == device and rest:
            return rest.split()[0]
    return None
