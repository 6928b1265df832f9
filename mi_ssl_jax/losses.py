"""Losses of the methods: embeddings of a batch in, a scalar to be minimised out.

Pure functions of arrays, without networks, configurations or devices. Arrays come first,
hyperparameters are keywords. What is not to be trained is under a stop-gradient inside the loss.
Losses of one direction (byol, mec, mocov3, simsiam, tico) are applied in both orders of the views
and added or averaged, as their sources do.

`corinfomax`, `mmi` and `tico` keep moving averages and return them beside the loss, for
`jax.grad(..., has_aux=True)`. The memories of `dino` and `moco` are arguments; `dino_centre` and
`mi_ssl_jax.queue.push` move them after the step.
"""

from mi_ssl_jax.methods.barlow import barlow_loss as barlow
from mi_ssl_jax.methods.bgrl import bgrl_loss as bgrl
from mi_ssl_jax.methods.byol import byol_loss as byol
from mi_ssl_jax.methods.corinfomax import corinfomax_loss as corinfomax
from mi_ssl_jax.methods.corinfomax import moments_init as corinfomax_moments
from mi_ssl_jax.methods.dino import dino_loss as dino
from mi_ssl_jax.methods.dino import moved_centre as dino_centre
from mi_ssl_jax.methods.empssl import empssl_loss as empssl
from mi_ssl_jax.methods.jmi import jmi_loss as jmi
from mi_ssl_jax.methods.mec import mec_loss as mec
from mi_ssl_jax.methods.mmi import eigenvalues_init as mmi_eigenvalues
from mi_ssl_jax.methods.mmi import mmi_value as mmi
from mi_ssl_jax.methods.moco import mocov3_loss as mocov3
from mi_ssl_jax.methods.moco import queue_loss as moco
from mi_ssl_jax.methods.sdmi import sdmi_loss as sdmi
from mi_ssl_jax.methods.simclr import dcl_loss as dcl
from mi_ssl_jax.methods.simclr import nt_xent
from mi_ssl_jax.methods.simsiam import negative_cosine as simsiam
from mi_ssl_jax.methods.swav import swav_loss as swav
from mi_ssl_jax.methods.tico import tico_loss as tico
from mi_ssl_jax.methods.vicreg import vicreg_loss as vicreg
from mi_ssl_jax.methods.wmse import wmse_loss as wmse

__all__ = [
    'barlow',
    'bgrl',
    'byol',
    'corinfomax',
    'corinfomax_moments',
    'dcl',
    'dino',
    'dino_centre',
    'empssl',
    'jmi',
    'mec',
    'mmi',
    'mmi_eigenvalues',
    'moco',
    'mocov3',
    'nt_xent',
    'sdmi',
    'simsiam',
    'swav',
    'tico',
    'vicreg',
    'wmse',
]
