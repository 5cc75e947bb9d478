"""A single-node Ceph object gateway on 127.0.0.1: one monitor, one OSD that keeps everything in memory, one radosgw.

Plain processes, no systemd, no root needed. Ceph is a real S3 server with a character of its own (release 16 wants the
etag of If-Match unquoted, and answers 500 to some losers of a race), so it stands in for the hosters that run it.
"""

from __future__ import annotations

import http.client
import shutil
import sys
import uuid
from pathlib import Path

from tests.support.processes import Child, StartError, free_port, listening, run, tail
from tests.support.s3 import Endpoint, send

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")

_ACCESS_KEY, _SECRET_KEY = "test", "testsecret"

# - The monitor proposes a change of a map after 50 ms, not a whole second, so a new cluster has its pools in one second
#   and not in ten. A client that missed the map in which the OSD came up asks again after 0.5 s, not 5.
# - radosgw insists on an encrypted connection to the monitor, which takes keys: so `crc` is named first.
# - Without tcp_nodelay a GET takes 44 ms. 100-continue stays on: some clients wait a second for it.
_CONF = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_port}/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms cluster mode = crc
auth cluster required = none
auth service required = none
auth client required = none
run dir = {folder}
log file = {folder}/$name.log
crash dir = {folder}
admin socket =
pid file =
paxos propose interval = 0.05
paxos min wait = 0.01
objecter tick interval = 0.5
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 2000
mon initial members = a
mon data avail crit = 1
[osd]
osd objectstore = memstore
memstore device bytes = 4294967296
[client.rgw]
ms mon client mode = crc secure
rgw data = {folder}
rgw frontends = beast endpoint=127.0.0.1:{rgw_port} tcp_nodelay=1
rgw thread pool size = 64
rgw run sync thread = false
"""


def available() -> str | None:
    """Why Ceph cannot run here, or None if it can."""
    if not sys.platform.startswith("linux"):
        return f"Ceph servers run on Linux, this is {sys.platform}"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"programs not found: {', '.join(missing)}" if missing else None


class Ceph:
    """The servers in one folder, which `start` makes and `stop` removes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._conf = folder / "ceph.conf"
        self._rgw_port = free_port()
        self._ready = False
        self._children: list[Child] = []
        self.endpoint = Endpoint("ceph", f"http://127.0.0.1:{self._rgw_port}", _ACCESS_KEY, _SECRET_KEY)

    def start(self, *, seconds: float = 90.0) -> Endpoint:
        """Returns once a bucket can be made. Raises StartError, with everything stopped, if that takes too long."""
        try:
            self._start_storage(seconds)
            self._make_user(seconds)
            rgw = self._spawn("radosgw", "-n", "client.rgw", "-f")
            rgw.until(self._makes_buckets, seconds=seconds, what="bucket")
            self._ready = True
        except StartError as error:
            logs = [tail(log, 5) for log in sorted(self.folder.glob("*.log"))]
            raise StartError("\n".join([str(error), *logs])) from None
        finally:
            if not self._ready:
                self.stop()
        return self.endpoint

    def stop(self) -> None:
        """Kill every process started here and remove the folder. Harmless when repeated."""
        while self._children:
            self._children.pop().stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start_storage(self, seconds: float) -> None:
        fsid, osd = str(uuid.uuid4()), str(uuid.uuid4())
        mon_port = free_port()
        mon_data, osd_data, monmap = self.folder / "mon", self.folder / "osd", self.folder / "monmap"
        mon_data.mkdir(parents=True)
        osd_data.mkdir()
        self._conf.write_text(
            _CONF.format(fsid=fsid, folder=self.folder, mon_port=mon_port, rgw_port=self._rgw_port), encoding="utf-8"
        )
        self._run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{mon_port}]", str(monmap))
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(monmap), "--mon-data", str(mon_data))

        mon = self._spawn("ceph-mon", "-i", "a", "--mon-data", str(mon_data), "-f")
        mon.until(lambda: listening(mon_port), seconds=seconds, what="open port")
        self._run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", osd, "--osd-data", str(osd_data), seconds=seconds)
        self._run("ceph", "--connect-timeout", f"{seconds:.0f}", "osd", "new", osd, "0", seconds=seconds)
        self._spawn("ceph-osd", "-i", "0", "--osd-data", str(osd_data), "-f")

    def _make_user(self, seconds: float) -> None:
        """Also waits for the OSD: the user is the first thing stored on it."""
        user = ["--uid=test", "--display-name=test", f"--access-key={_ACCESS_KEY}", f"--secret={_SECRET_KEY}"]
        self._run("radosgw-admin", "-n", "client.rgw", "user", "create", *user, seconds=seconds)

    def _makes_buckets(self) -> bool:
        """Whether a bucket could be made; it is removed again."""
        try:
            made = send(self.endpoint, "PUT", "/is-ready").status == 200
            return made and send(self.endpoint, "DELETE", "/is-ready").status == 204
        except (OSError, http.client.HTTPException):
            return False

    def _spawn(self, program: str, *arguments: str) -> Child:
        child = Child([program, "-c", str(self._conf), *arguments], log=self.folder / f"{program}.out")
        self._children.append(child)
        return child

    def _run(self, program: str, *arguments: str, seconds: float = 30.0) -> None:
        run([program, "-c", str(self._conf), *arguments], log=self.folder / f"{program}.out", seconds=seconds)
