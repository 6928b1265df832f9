"""Several processes: where they meet, and refusals. What they compute together is in
test_processes.py."""

import socket

import jax
import numpy as np
import pytest

from mi_ssl_jax import parallel
from mi_ssl_jax.runs import processes

SRUN = {
    'SLURM_JOB_ID': '81',
    'SLURM_STEP_ID': '0',
    'SLURM_STEP_NUM_TASKS': '4',
    'SLURM_STEP_NUM_NODES': '2',
    'SLURM_STEP_NODELIST': 'gpu[003-004]',
    'SLURM_STEP_TASKS_PER_NODE': '2(x2)',
    'SLURM_PROCID': '3',
    'SLURM_LOCALID': '1',
}
MPIRUN = {
    'OMPI_COMM_WORLD_SIZE': '2',
    'OMPI_COMM_WORLD_RANK': '1',
    'OMPI_COMM_WORLD_LOCAL_SIZE': '1',
    'OMPI_COMM_WORLD_LOCAL_RANK': '0',
    'OMPI_MCA_orte_hnp_uri': '1531576320.0;tcp://10.96.0.1,10.148.0.1:34911',
}


def test_a_process_alone_has_no_place():
    assert processes.place({}) is None
    assert processes.place({}, coordinator='127.0.0.1:5000', processes=1, process=0) is None
    # A batch script's own shell, an srun of one task and an mpirun of one process are alone too.
    assert processes.place({'SLURM_JOB_ID': '81', 'SLURM_PROCID': '0', 'SLURM_NTASKS': '4'}) is None
    assert processes.place(SRUN | {'SLURM_STEP_NUM_TASKS': '1'}) is None
    assert processes.place(MPIRUN | {'OMPI_COMM_WORLD_SIZE': '1'}) is None


def test_the_arguments_say_where():
    told = dict(coordinator='[::1]:5000', processes=3, process=2)
    assert processes.place({}, **told) == processes.Place('[::1]:5000', 3, 2, None)
    assert processes.place(SRUN, **told)[:3] == ('[::1]:5000', 3, 2)
    assert processes.place(SRUN, coordinator='head:5000')[:3] == ('head:5000', 4, 3)


def test_under_slurm():
    here = processes.place(SRUN)
    assert here.coordinator.startswith('gpu003:') and here[1:] == (4, 3, 1)
    assert processes.port_of(here.coordinator) in processes.PORTS
    others = {processes.place(SRUN | {'SLURM_PROCID': f'{rank}'}).coordinator for rank in range(4)}
    assert others == {here.coordinator}
    assert processes.place(SRUN | {'SLURM_JOB_ID': '82'}).coordinator != here.coordinator
    # On one machine nothing listens beyond it.
    assert processes.place(SRUN | {'SLURM_STEP_NUM_NODES': '1'}).coordinator.startswith(
        '127.0.0.1:'
    )


@pytest.mark.parametrize(
    'changes, device',
    [
        ({}, 1),
        ({'CUDA_VISIBLE_DEVICES': '0,1'}, 1),
        ({'CUDA_VISIBLE_DEVICES': '1'}, None),  # each task has been given one of its own
        ({'JAX_LOCAL_DEVICE_IDS': '2'}, None),  # JAX reads it by itself
        ({'SLURM_STEP_TASKS_PER_NODE': '1(x4)'}, None),  # a machine of its own: all its GPUs
    ],
)
def test_processes_of_one_machine_take_a_gpu_each(changes, device):
    assert processes.place(SRUN | changes).device == device


@pytest.mark.parametrize(
    'nodes, host',
    [
        ('n1', 'n1'),
        ('n1,n2', 'n1'),
        ('gpu[003-007,9],big1', 'gpu003'),
        ('a-b[1,3]', 'a-b1'),
        ('x.y.z', 'x.y.z'),
    ],
)
def test_first_of_a_list_of_nodes(nodes, host):
    assert processes.first_host(nodes) == host


def test_under_open_mpi():
    here = processes.place(MPIRUN)
    assert here.coordinator.startswith('10.96.0.1:') and here[1:] == (2, 1, None)
    six = MPIRUN | {'OMPI_MCA_orte_hnp_uri': '1314521088.0;tcp6://[fe80::b9b,2620:10d::2]:43370'}
    assert processes.place(six).coordinator.startswith('[fe80::b9b]:')
    local = {key: value for key, value in MPIRUN.items() if 'orte' not in key} | {
        'OMPI_COMM_WORLD_LOCAL_SIZE': '2'
    }
    here = processes.place(local | {'PMIX_NAMESPACE': 'prterun-1@1'})
    assert here.coordinator.startswith('127.0.0.1:') and here.device == 0


def test_open_mpi_that_does_not_say_where_process_0_runs():
    silent = {key: value for key, value in MPIRUN.items() if 'orte' not in key}
    with pytest.raises(ValueError, match='--coordinator=HOST:PORT'):
        processes.place(silent)
    assert processes.place(silent, coordinator='head:5000')[:3] == ('head:5000', 2, 1)


@pytest.mark.parametrize(
    'told, message',
    [
        (dict(coordinator='127.0.0.1:5000'), 'together'),
        (dict(processes=2, process=0), 'together'),
        (dict(coordinator='127.0.0.1', processes=2, process=0), 'is not HOST:PORT'),
        (
            dict(coordinator='fe80::b9b:1', processes=2, process=0),
            'is not HOST:PORT',
        ),  # an address needs brackets
        (dict(coordinator=':5000', processes=2, process=0), 'is not HOST:PORT'),
        (dict(coordinator='head:99999', processes=2, process=0), 'is not HOST:PORT'),
        (
            dict(coordinator='head:5000', processes=2, process=2),
            '--process=2 of --processes=2: count',
        ),
        (
            dict(coordinator='head:5000', processes=2, process=-1),
            '--process=-1 of --processes=2: count',
        ),
        (
            dict(coordinator='head:5000', processes=0, process=0),
            '--process=0 of --processes=0: count',
        ),
    ],
)
def test_a_place_that_cannot_be_is_refused_in_one_line(told, message):
    with pytest.raises(ValueError, match=message) as error:
        processes.place({}, **told)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'address', ['127.0.0.1:{port}', '198.51.100.1:{port}', 'no.such.host.invalid:{port}']
)
def test_where_nobody_can_listen_is_refused(address):
    """In use, of another machine, of none."""
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        address = address.format(port=taken.getsockname()[1])
        here = processes.place({}, coordinator=address, processes=2, process=0)
        with (
            pytest.raises(ValueError, match=f'process 0 cannot listen at {address} '),
            processes.joined(here),
        ):
            pass
    assert not jax.distributed.is_initialized()


def test_alone_there_is_nothing_to_agree_on():
    assert processes.first() and parallel.process_count() == 1 and parallel.process_index() == 0
    assert processes.largest([3, 0]) == [3, 0] and processes.send(b'x') == b'x'
    tree = {'a': np.arange(3)}
    assert processes.from_first(tree, tree) is tree
    assert processes.told({'a': 1}) == {'a': 1}
    with processes.joined(None):
        assert not jax.distributed.is_initialized()
    with pytest.raises(ValueError, match='no such thing'), processes.together():
        raise ValueError('no such thing')
