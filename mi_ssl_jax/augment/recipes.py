"""The views that each method uses on each kind of image: sizes, strengths and probabilities.

The rows for ImageNet are each method's own source. For 32 px they are its authors' setting where
there is one (SimCLR's and SimSiam's papers: weaker jitter, no blur), else solo-learn's. No source
fixes 64 px: the ImageNet strengths there are our choice. The blur is torchvision's Gaussian with
SimCLR's kernel of about a tenth of the side everywhere; several sources use Pillow's approximation
instead.
"""

from collections.abc import Callable
from typing import NamedTuple

from mi_ssl_jax.augment.rgb import Norm, Scale, View
from mi_ssl_jax.core.statistics import Statistics

STRONG, MEDIUM, MUTED = (0.8, 0.8, 0.8, 0.2), (0.4, 0.4, 0.4, 0.1), (0.4, 0.4, 0.2, 0.1)
Views = tuple[View, ...]


class Images(NamedTuple):
    """A data set: its row in the recipes, side of the views, normalisation, centre crop of the
    evaluation; scale: None for uint8 RGB.
    """

    kind: str
    size: int
    norm: Norm
    fraction: float
    scale: Scale | None = None


_TINY = Images('tiny', 64, Norm((0.480, 0.448, 0.398), (0.277, 0.269, 0.282)), 1.0)
_IMAGENET = Images('imagenet', 224, Norm((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), 0.875)
IMAGES = {
    'cifar10': Images('cifar', 32, Norm((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)), 1.0),
    'cifar100': Images('cifar', 32, Norm((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)), 1.0),
    'tiny_imagenet': _TINY,
    'tin': _TINY,
    'imagenet': _IMAGENET,
    'imagenet2012': _IMAGENET,
    'imagenet100': _IMAGENET,
    'in100': _IMAGENET,
    'image_folder': _IMAGENET,
}


def own(size: int, statistics: Statistics) -> Images:
    """Images of the user's own, of any channels and type, by the statistics of the training set.

    The recipes' row is that of the nearest size: CIFAR's up to 32 px, TinyImageNet's up to 96 px.
    """
    spans = [high - low for low, high in zip(statistics.low, statistics.high)]
    mean = tuple((m - low) / own for m, low, own in zip(statistics.mean, statistics.low, spans))
    std = tuple(s / own for s, own in zip(statistics.std, spans))
    kind = 'cifar' if size <= 32 else 'tiny' if size <= 96 else 'imagenet'
    scale = Scale(statistics.low, statistics.high)
    return Images(kind, size, Norm(mean, std), 0.875 if kind == 'imagenet' else 1.0, scale)


def simclr(kind: str, size: int) -> Views:
    """SimCLR: colour strength 1, 0.5 on CIFAR (arXiv 2002.05709, B.9)."""
    strength, blur = (MEDIUM, 0.0) if kind == 'cifar' else (STRONG, 0.5)
    return (View(size, (0.08, 1.0), 'bicubic', strength, blur_p=blur),) * 2


def simsiam(kind: str, size: int) -> Views:
    """MoCo v2 and SimSiam; no blur on CIFAR (arXiv 2011.10566, appendix D)."""
    return (View(size, (0.2, 1.0), 'bilinear', MEDIUM, blur_p=0.0 if kind == 'cifar' else 0.5),) * 2


def mocov1(kind: str, size: int) -> Views:
    """MoCo v1: jitter on every view, hue as strong as the rest, no blur (arXiv 1911.05722); grey
    before the jitter, as in its code.
    """
    strength = (0.4, 0.4, 0.4, 0.4)
    return (View(size, (0.2, 1.0), 'bilinear', strength, jitter_p=1.0, grey_first=True),) * 2


def byol(kind: str, size: int) -> Views:
    """BYOL and Barlow Twins: blur on the first view, solarize on the second; no blur on CIFAR."""
    return _asymmetric(size, (0.08, 1.0), blur=kind != 'cifar')


def mocov3(kind: str, size: int) -> Views:
    """MoCo v3 (its ResNet-50 setting): BYOL's views, bilinear, from a fifth of the image on
    ImageNet.
    """
    if kind == 'cifar':
        return byol(kind, size)
    least = 0.2 if kind == 'imagenet' else 0.08
    return tuple(
        view._replace(method='bilinear') for view in _asymmetric(size, (least, 1.0), blur=True)
    )


def vicreg(kind: str, size: int) -> Views:
    """VICReg: BYOL's views; on CIFAR solo-learn's symmetric ones."""
    if kind != 'cifar':
        return byol(kind, size)
    return (View(size, (0.2, 1.0), 'bicubic', MUTED, solarize_p=0.1),) * 2


def dino(kind: str, size: int) -> Views:
    """DINO: two global views and eight local ones; on CIFAR BYOL's two (solo-learn)."""
    if kind == 'cifar':
        return byol(kind, size)
    local = View(_local_size(size), (0.05, 0.4), 'bicubic', MUTED, blur_p=0.5)
    return _asymmetric(size, (0.4, 1.0), blur=True) + (local,) * 8


def swav(kind: str, size: int) -> Views:
    """SwAV: two global views and six local ones; on CIFAR two strong ones with blur (solo-learn).

    Its code divides red by 0.228; here as everywhere by 0.229.
    """
    if kind == 'cifar':
        return (View(size, (0.08, 1.0), 'bicubic', STRONG, blur_p=0.5),) * 2
    view = View(size, (0.14, 1.0), 'bilinear', STRONG, blur_p=0.5)
    return (view,) * 2 + (view._replace(size=_local_size(size), scale=(0.05, 0.14)),) * 6


def wmse(kind: str, size: int) -> Views:
    """W-MSE's own code, all sizes alike: grey 0.1, crop and flip after the colours."""
    return (View(size, (0.2, 1.0), 'bicubic', MEDIUM, grey_p=0.1, crop_last=True),) * 2


def dino_vit(kind: str, size: int) -> Views:
    """DINO for small images (Gani et al. 2022, arXiv 2210.07240): two global views from half of the
    image, eight local ones of half the side from a fifth to two fifths.

    Colours, blur and solarize are DINO's; its blur is too wide for 32 px and left out there.
    """
    local = View(_local_size(size), (0.2, 0.4), 'bicubic', MUTED)
    return _asymmetric(size, (0.5, 1.0), blur=kind != 'cifar') + (local,) * 8


def corinfomax(kind: str, size: int) -> Views:
    """CorInfoMax: BYOL's views with their blur, on CIFAR too."""
    return _asymmetric(size, (0.08, 1.0), blur=True)


def empssl(kind: str, size: int) -> Views:
    """EMP-SSL: twenty squares of a quarter of the image, made as large as the image (its code);
    local_views=N makes them N + 2. Its pixels are scaled by one half alone.
    """
    quarter = (0.25, 0.25)
    view = View(size, quarter, 'bilinear', (0.4, 0.4, 0.4, 0.2), blur_p=0.1, ratio=(1.0, 1.0))
    return (view._replace(solarize_p=0.1),) * 20


RECIPES: dict[str, Callable[[str, int], Views]] = {
    'simclr': simclr,
    'simsiam': simsiam,
    'mocov1': mocov1,
    'mocov2': simsiam,
    'mocov3': mocov3,
    'byol': byol,
    'barlow': byol,
    'vicreg': vicreg,
    'dino': dino,
    'swav': swav,
    'wmse': wmse,
    'corinfomax': corinfomax,
    'dino_vit': dino_vit,
    'empssl': empssl,
}


def _asymmetric(size: int, scale: tuple[float, float], *, blur: bool) -> Views:
    first = View(size, scale, 'bicubic', MUTED, blur_p=1.0 if blur else 0.0)
    return first, first._replace(blur_p=0.1 if blur else 0.0, solarize_p=0.2)


def _local_size(size: int) -> int:
    """Side of the local views: 96 px beside 224, half of the global side otherwise."""
    return 96 if size == 224 else size // 2
