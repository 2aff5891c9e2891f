import torch


def to_gpu(*tensors):
    if not torch.cuda.is_available():
        return tensors
    return tuple(t.cuda(non_blocking=True) for t in tensors)
