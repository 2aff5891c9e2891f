import torch


def replayed(batches, device, keep=3):
    """Yields each batch and one that was seen before, as continual learning does."""
    memory = []
    for x in batches:
        x = x.to(device)
        if memory:
            old = memory[0]
            yield torch.cat([x, old])
        else:
            yield torch.cat([x, x])
        memory.insert(0, x)
        del memory[keep:]
