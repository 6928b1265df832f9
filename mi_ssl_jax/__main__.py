"""List the commands: python -m mi_ssl_jax"""

COMMANDS = {
    'main': 'train one configuration in a folder, or resume it',
    'probe': 'linear probes and kNN of a run',
    'embed': "a run's embeddings as arrays",
    'finetune': 'train an encoder further on labels, beside random weights',
    'estimate_mi': 'mutual information between two arrays, or in a run',
    'compare': 'one page of several runs',
    'export': "a run's encoder for timm, torchvision or a program of its own",
    'readout': 'the information in an encoder of your own or of others',
    'data.prepare': 'prepare a data set',
    'figures.views': 'look at the views of a configuration',
    'bench': 'speed of a configuration on this machine',
    'sweep': 'search over configurations',
    'reproduce': "the paper's tables and figures",
}


def main() -> None:
    """Print the commands."""
    print('Commands, each with --help:')
    for name, use in COMMANDS.items():
        print(f'  python -m mi_ssl_jax.{name:14} {use}')


if __name__ == '__main__':
    main()
