"""A SLURM of one node on 127.0.0.1, in a folder of its own: no accounting, fake GPUs, more CPUs and memory than the machine has.

Needs root, Debian's or Ubuntu's packages `slurm-wlm` and `munge`, and nothing of their configuration: SLURM_CONF names ours.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
CONFIGURATION = """\
ClusterName=zfrepro-test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=5,batch_sched_delay=0
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
KillWait=30
MinJobAge=600
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def explain_missing() -> str | None:
    """Why no SLURM can be started here; None if one can."""
    if os.geteuid() != 0:
        return "the cluster test starts SLURM's daemons and needs root"
    if not Path("/etc/debian_version").is_file():
        return "the cluster test is written for the SLURM of Debian and Ubuntu"
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"{', '.join(missing)}: not found; run: apt-get install -y slurm-wlm munge"
    return None


class Cluster:
    """A running SLURM; `environment` makes its commands and Snakemake find it."""

    def __init__(self, folder: Path, gpus: int = 2, cpus: int = 64, memory: int = 400_000):
        self.folder, self.host = folder, socket.gethostname().split(".")[0]
        path = f"{folder}/bin{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
        self.daemons: list[subprocess.Popen] = []
        for name in ("state", "spool", "bin"):
            (folder / name).mkdir()
        srun = folder / "bin/srun"  # Snakemake's plugin starts it without SLURM_CONF
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        folder.chmod(0o755)
        ports = [_free_port(), _free_port()]
        (folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                folder=folder,
                host=self.host,
                gpus=gpus,
                cpus=cpus,
                memory=memory,
                controller_port=ports[0],
                node_port=ports[1],
            )
        )
        for number in range(gpus):
            (folder / f"gpu{number}").touch()
        devices = f"{folder}/gpu[0-{gpus - 1}]"
        (folder / "gres.conf").write_text(
            f"AutoDetect=off\nNodeName={self.host} Name=gpu Flags=nvidia_gpu_env File={devices}\n"
        )
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)

    def start(self) -> None:
        """Returns once the node takes jobs."""
        folder = self.folder
        files = [
            f"--{name}={folder}/munge.{name.split('-')[0]}" for name in ("socket", "key-file", "pid-file", "seed-file")
        ]
        self._daemon("munged", "--foreground", *files, f"--log-file={folder}/munge.log")
        self._wait(lambda: (folder / "munge.socket").exists())
        self._daemon("slurmctld", "-D", "-i")
        self._daemon("slurmd", "-D", "-N", self.host)
        self._wait(lambda: "idle" in self.call("sinfo", "--noheader", "--format=%T"))

    def stop(self) -> None:
        """Cancel what runs, end the daemons that this object started, and no other."""
        if len(self.daemons) > 1:
            self.call("scancel", "--user=root")
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def call(self, *command: str) -> str:
        """Standard output of a command of SLURM."""
        done = subprocess.run(command, env=self.environment, check=False, capture_output=True, text=True)
        return done.stdout

    def jobs(self) -> list[tuple[str, str, str]]:
        """Number, state and comment (`rule_train_wildcards_improved`) of every job that has not ended."""
        lines = self.call("squeue", "--noheader", "--format=%i|%T|%k").splitlines()
        return [(number, state, comment) for number, state, comment in (line.split("|", 2) for line in lines)]

    def job_of(self, comment: str) -> str | None:
        """Number of the running job with the comment."""
        return next((number for number, state, text in self.jobs() if state == "RUNNING" and text == comment), None)

    def _wait(self, condition: Callable[[], object], seconds: float = 60) -> None:
        """Until the daemons do what they are started for; shows what the last one printed if it does not."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or self.daemons[-1].poll() is not None:
                raise RuntimeError((self.folder / f"{self.daemons[-1].args[0]}.out").read_text()[-2000:])
            time.sleep(0.2)

    def _daemon(self, *command: str) -> None:
        log = open(self.folder / f"{command[0]}.out", "wb")  # noqa: SIM115
        with log:
            process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)
        self.daemons.append(process)


@contextmanager
def running(**sizes: int) -> Iterator[Cluster]:
    """In a folder of its own: munged wants one that everybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="zfrepro-slurm-"))
    cluster = Cluster(folder, **sizes)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> object:
    """The first true value of the condition."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"{what}: nothing after {seconds} s"
        time.sleep(0.2)
    return value


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
