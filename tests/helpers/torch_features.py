"""Features by PyTorch, for tests/runs/test_exporting.py; needs torch, torchvision, timm and
safetensors alone:

    PYTHON tests/helpers/torch_features.py read IN.npz OUT.npz    in an exported folder
    PYTHON tests/helpers/torch_features.py write KIND FILE.safetensors OUT.npz

read: runs the lines of the folder's card, encodes IN's x (N, C, H, W) in evaluation mode in float32
and in training mode in float64 (whose statistics leave float32 few digits in a deep network), and
writes the features of both, the state dict after the training step and how many values each batch
norm averaged. write: a network of random weights, KIND such as torchvision:resnet18 or
timm:resnet18:cifar, its state dict into FILE, two images and their features into OUT.
"""

import re
import sys

import numpy as np
import safetensors.torch
import torch


def read(source, target):
    with open('README.md') as file:
        (code,) = re.findall(r'```python\n(.*?)```', file.read(), flags=re.DOTALL)
    names = {}
    exec(code, names)
    model, x = names['model'], torch.from_numpy(np.load(source)['x'])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    counts = {}
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):

            def count(module, inputs, output, name=name):
                counts[name] = output.numel() // output.shape[1]

            module.register_forward_hook(count)
    with torch.no_grad():
        running = model(x)
        batch = model.double().train()(x.double())
    np.savez(
        target,
        running=running.numpy(),
        batch=batch.numpy(),
        **{f'before/{name}': value.numpy() for name, value in before.items()},
        **{f'after/{name}': value.numpy() for name, value in model.state_dict().items()},
        **{f'count/{name}': np.array(value) for name, value in counts.items()},
    )


def write(kind, file, target):
    library, name, *small = kind.split(':')
    torch.manual_seed(0)
    if library == 'torchvision':
        import torchvision

        model = getattr(torchvision.models, name)(num_classes=10)
    else:
        import timm

        model = timm.create_model(name, num_classes=10)
    if small:
        model.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
        model.maxpool = torch.nn.Identity()
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if key.endswith('running_var'):
                value.uniform_(0.5, 1.5)
            elif value.is_floating_point() and 'conv' not in key and 'downsample.0' not in key:
                value.add_(0.1 * torch.randn_like(value))
    safetensors.torch.save_file(model.state_dict(), file)
    size = 64 if 'resnet' in name else 224
    x = torch.randn(2, 3, size, size)
    model.eval()
    with torch.no_grad():
        if library == 'torchvision':
            model.fc = torch.nn.Identity()
            y = model(x)
        else:
            y = model.forward_head(model.forward_features(x), pre_logits=True)
    np.savez(target, x=x.numpy(), y=y.numpy())


if __name__ == '__main__':
    {'read': read, 'write': write}[sys.argv[1]](*sys.argv[2:])
