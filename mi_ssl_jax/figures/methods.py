"""Name, colour and paradigm of every method, for all pictures and tables."""

from typing import NamedTuple


class Look(NamedTuple):
    """A method's name, colour and letters, the same in every picture. paradigm: 'sdmi' | 'jmi'
    (paper, Table 7); None for others.
    """

    label: str
    colour: str
    paradigm: str | None


# In the paper's order (Table 2). The colours of each paradigm, which share a panel, stay apart
# under the common forms of colour blindness.
METHODS = {
    'sdmi': Look('SDMI', '#0072B2', 'sdmi'),
    'simsiam': Look('SimSiam', '#E69F00', 'sdmi'),
    'mocov3': Look('MoCo-v3', '#CC79A7', 'sdmi'),
    'byol': Look('BYOL', '#009E73', 'sdmi'),
    'jmi': Look('JMI', '#D55E00', 'jmi'),
    'simclr': Look('SimCLR', '#56B4E9', 'jmi'),
    'barlow': Look('Barlow Twins', '#882288', 'jmi'),
    'vicreg': Look('VICReg', '#000000', 'jmi'),
}


# Methods beyond the paper's tables, which share no panel with all of those above.
BEYOND = {
    'mocov1': Look('MoCo v1', '#DD77AA', 'sdmi'),
    'mocov2': Look('MoCo v2', '#AA4499', 'sdmi'),
    'dino': Look('DINO', '#117733', 'sdmi'),
    'swav': Look('SwAV', '#332288', 'jmi'),
    'wmse': Look('W-MSE', '#88CCEE', 'jmi'),
    'mec': Look('MEC', '#999933', 'jmi'),
    'mmi': Look('MMI', '#CC6677', 'jmi'),
    'corinfomax': Look('CorInfoMax', '#6699CC', 'jmi'),
    'empssl': Look('EMP-SSL', '#AA7744', 'jmi'),
    'tico': Look('TiCo', '#661100', 'jmi'),
    'bgrl': Look('BGRL', '#44AA99', 'jmi'),
}


OTHER = '#555555'
