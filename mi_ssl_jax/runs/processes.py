"""Several processes that train one run: where they meet, and what they must agree on.

Each runs the same program on devices of its own; parallel.py joins the devices. Process 0 alone
reads and writes the run's folder. With one process nothing here does anything, and nothing listens
on the network.
"""

import contextlib
import json
import os
import re
import socket
import struct
import sys
import threading
import traceback
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from mi_ssl_jax import parallel

Tree = Any
PORTS = range(
    61440, 65536
)  # where a scheduler names the machine, the port follows from the job's name
LEAVING = 10.0  # seconds


class Place(NamedTuple):
    """coordinator: HOST:PORT, where process 0 listens. process: this one, in [0, processes).
    device: the only GPU that this process may use, None for all it sees.
    """

    coordinator: str
    processes: int
    process: int
    device: int | None = None


class Refused(ValueError):
    """Another process has refused its input."""


# Where the processes meet
# --------------------------------------------------------------------------------------------------


def place(
    environ: Mapping[str, str],
    *,
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
) -> Place | None:
    """This process's place: as the arguments say, else as srun or mpirun do in `environ`. None for
    a process alone.

    ValueError for an incomplete or impossible place.
    """
    told = _slurm(environ) or _open_mpi(environ)
    if (coordinator, processes, process) == (None, None, None) and told is None:
        return None
    if told is not None:
        coordinator = coordinator or told.coordinator
        processes = told.processes if processes is None else processes
        process = told.process if process is None else process
    if None in (coordinator, processes, process):
        raise ValueError(
            'several processes need --coordinator=HOST:PORT, --processes=N and --process=I together'
        )
    if (
        not re.fullmatch(r'(\[[0-9a-fA-F:.]+\]|[^:\s]+):\d{1,5}', coordinator)
        or not port_of(coordinator) < 65536
    ):
        raise ValueError(f'--coordinator={coordinator} is not HOST:PORT, such as 127.0.0.1:61440')
    if processes < 1 or not 0 <= process < processes:
        raise ValueError(
            f'--process={process} of --processes={processes}: count the processes from 0 to N - 1'
        )
    return Place(coordinator, processes, process, told and told.device) if processes > 1 else None


def port_of(coordinator: str) -> int:
    """The port of HOST:PORT."""
    return int(coordinator.rpartition(':')[2])


def _slurm(environ: Mapping[str, str]) -> Place | None:
    """A task that srun started beside others; the batch script itself and an interactive shell are
    none.
    """
    if int(environ.get('SLURM_STEP_NUM_TASKS', 1)) < 2 or 'SLURM_PROCID' not in environ:
        return None
    machines = int(environ.get('SLURM_STEP_NUM_NODES', 1))
    host = first_host(environ['SLURM_STEP_NODELIST']) if machines > 1 else '127.0.0.1'
    job = f'{environ["SLURM_JOB_ID"]}.{environ.get("SLURM_STEP_ID", 0)}'
    own = environ.get('SLURM_STEP_TASKS_PER_NODE', '1')
    return Place(
        f'{host}:{_port(job)}',
        int(environ['SLURM_STEP_NUM_TASKS']),
        int(environ['SLURM_PROCID']),
        _device(
            environ,
            'SLURM_LOCALID',
            alone=set(re.findall(r'\d+', re.sub(r'\(x\d+\)', '', own))) == {'1'},
        ),
    )


def first_host(nodes: str) -> str:
    """The first name of a SLURM list of nodes: 'gpu[003-007,9],big1' -> 'gpu003'."""
    prefix, inside = re.match(r'([^,\[]+)(?:\[(\w+))?', nodes).groups()
    return prefix + (inside or '')


def _open_mpi(environ: Mapping[str, str]) -> Place | None:
    size = int(environ.get('OMPI_COMM_WORLD_SIZE', 1))
    if size < 2:
        return None
    here = int(environ.get('OMPI_COMM_WORLD_LOCAL_SIZE', 1))
    launcher = environ.get('OMPI_MCA_orte_hnp_uri', '')
    four, six = re.search(r'tcp://([^,:;]+)', launcher), re.search(r'tcp6://\[([^,\]]+)', launcher)
    host = '127.0.0.1' if here == size else four[1] if four else six and f'[{six[1]}]'
    job = launcher.partition('.')[0] or environ.get('PMIX_NAMESPACE', '')
    return Place(
        f'{host}:{_port(job)}' if host else None,
        size,
        int(environ['OMPI_COMM_WORLD_RANK']),
        _device(environ, 'OMPI_COMM_WORLD_LOCAL_RANK', alone=here == 1),
    )


def _port(job: str) -> int:
    return PORTS[zlib.crc32(job.encode()) % len(PORTS)]


def _device(environ: Mapping[str, str], rank: str, *, alone: bool) -> int | None:
    """Processes that share a machine take one GPU each, unless each has been shown one of its
    own.
    """
    shown = environ.get('CUDA_VISIBLE_DEVICES', '').split(',')
    own = alone or 'JAX_LOCAL_DEVICE_IDS' in environ or len(shown) == 1 and shown != ['']
    return None if own else int(environ[rank])


@contextlib.contextmanager
def joined(here: Place | None) -> Iterator[None]:
    """While several processes work as one; before any other use of JAX. They leave together.

    What ends one of them alone ends it here, after LEAVING seconds without an answer from the
    others.
    """
    if here is None:
        yield
        return
    # JAX's own choice is every address of the machine.
    bind = os.environ.get('JAX_COORDINATOR_BIND_ADDRESS', here.coordinator)
    if here.process == 0:
        _check_free(bind)
    jax.config.update(
        'jax_enable_preemption_service', False
    )  # it would take SIGTERM away from the run
    jax.distributed.initialize(
        here.coordinator,
        here.processes,
        here.process,
        local_device_ids=None if here.device is None else [here.device],
        cluster_detection_method='deactivate',
        coordinator_bind_address=bind,
    )
    try:
        yield
    except BaseException as error:
        _leave(here, error)
        raise
    jax.distributed.shutdown()


def _check_free(address: str) -> None:
    """ValueError unless this machine can listen at HOST:PORT, where JAX would crash without a
    word.
    """
    host, port = address.rpartition(':')[0].strip('[]'), port_of(address)
    try:
        family, kind, _, _, found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found)
    except OSError as error:
        raise ValueError(
            f'process 0 cannot listen at {address} ({error.strerror}): give --coordinator a free'
            ' port of an address of its machine'
        ) from error


def _leave(here: Place, error: BaseException) -> None:
    """Leave because of an error that the others have too; alone with it, end the process: JAX would
    wait for minutes.
    """
    leaving = threading.Thread(target=jax.distributed.shutdown, daemon=True)
    leaving.start()
    leaving.join(LEAVING)
    if leaving.is_alive():
        traceback.print_exception(error)
        print(
            f'error: process {here.process} of {here.processes} stopped alone, or after another;'
            ' start all processes again to resume',
            file=sys.stderr,
            flush=True,
        )
        os._exit(getattr(error, 'status', 1))


# What they agree on
# --------------------------------------------------------------------------------------------------


def first() -> bool:
    """Whether this is process 0, which alone writes the run's folder."""
    return parallel.process_index() == 0


def several() -> bool:
    """Whether this process trains together with others."""
    return parallel.process_count() > 1


def largest(values: Sequence[int]) -> list[int]:
    """Return each value's maximum over the processes, all of which must call this at the same
    point.
    """
    if parallel.process_count() == 1:
        return list(values)
    return np.max(multihost_utils.process_allgather(np.asarray(values, np.int32)), axis=0).tolist()


@contextlib.contextmanager
def together() -> Iterator[None]:
    """A part that all processes get through, or none: after a ValueError of one the others raise
    Refused.
    """
    try:
        yield
    except ValueError:
        largest([1])
        raise
    if largest([0]) != [0]:
        raise Refused('another process was refused; its own message says why')


def from_first(tree: Tree, like: Tree) -> Tree:
    """Process 0's arrays on every process, in numpy and bit for bit.

    like: arrays or shapes as process 0's. The others' `tree` is not looked at.
    """
    if parallel.process_count() == 1:
        return tree
    data = send(b''.join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)))
    shapes, structure = jax.tree.flatten(like)
    leaves, start = [], 0
    for shape in shapes:
        flat = np.frombuffer(data, shape.dtype, count=int(np.prod(shape.shape)), offset=start)
        leaves.append(flat.reshape(shape.shape))
        start += flat.nbytes
    return jax.tree.unflatten(structure, leaves)


def told(value: Any) -> Any:
    """Process 0's JSON value, on every process."""
    return value if parallel.process_count() == 1 else json.loads(send(json.dumps(value).encode()))


def send(data: bytes) -> bytes:
    """Process 0's bytes to every process. The others' own are not looked at."""
    if parallel.process_count() == 1:
        return data
    size = np.frombuffer(struct.pack('<q', len(data)), np.uint8)
    (length,) = struct.unpack('<q', multihost_utils.broadcast_one_to_all(size).tobytes())
    own = np.frombuffer(data, np.uint8) if first() else np.zeros(length, np.uint8)
    return multihost_utils.broadcast_one_to_all(own).tobytes()
