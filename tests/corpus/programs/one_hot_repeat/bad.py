"""one_hot without classes and repeat_interleave without a size."""
import torch
import torch.nn.functional as F
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
CLASSES = 5


def dice(logits, target):
    onehot = F.one_hot(target).float()  # expect: PA204
    p = logits.softmax(-1)
    return 1 - 2 * (p * onehot).sum() / (p.sum() + onehot.sum())


def expand(x, counts):
    return x.repeat_interleave(counts, dim=0)  # expect: PA204


def main():
    torch.manual_seed(88)
    model = nn.Linear(7, CLASSES).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    counts = torch.tensor([1, 2, 3, 2], device=device)
    for x in torch.randn(12, 4, 7):
        target = torch.arange(8, device=device) % CLASSES
        out = model(expand(x.to(device), counts))
        loss = dice(out, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")


main()
