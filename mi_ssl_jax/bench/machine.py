"""The machine that a measurement was taken on."""

import os
import platform
from datetime import date
from pathlib import Path
from typing import Any

import jax
import jaxlib


def describe(load_before: float) -> dict[str, Any]:
    """Processor, cores of this process, devices, versions, the machine's load (1 minute) before and
    after.
    """
    return {
        'date': date.today().isoformat(),
        'processor': _processor(),
        'cores': len(os.sched_getaffinity(0)),
        'devices': f'{jax.local_device_count()} x {jax.local_devices()[0].device_kind}',
        'load': f'{load_before:.2f} to {os.getloadavg()[0]:.2f}',
        'jax': jax.__version__,
        'jaxlib': jaxlib.__version__,
        'python': platform.python_version(),
        'XLA_FLAGS': os.environ.get('XLA_FLAGS', ''),
    }


def _processor() -> str:
    """The model's name from Linux's list; on other systems what Python knows."""
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(':')[2].strip() for line in lines if line.startswith('model name'))
    return next(named, platform.machine())
