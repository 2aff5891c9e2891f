"""CutMix in the loader's collate function: the host mixes, the batch crosses once."""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, default_collate

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class CutMix:
    def __init__(self, size, alpha=1.0, seed=313):
        self.size, self.alpha = size, alpha
        self.rng = np.random.default_rng(seed)

    def box(self):
        lam = self.rng.beta(self.alpha, self.alpha)
        cut = int(self.size * np.sqrt(1 - lam))
        y, x = self.rng.integers(0, self.size - cut + 1, 2)
        return slice(y, y + cut), slice(x, x + cut)

    def __call__(self, samples):
        images, labels = default_collate(samples)
        rows, columns = self.box()
        mask = torch.ones(self.size, self.size)
        mask[rows, columns] = 0.0
        return images * mask + images.flip(0) * (1 - mask), labels, mask.mean()


def mixed_loss(logits, labels, lam):
    ce = nn.functional.cross_entropy
    return lam * ce(logits, labels) + (1 - lam) * ce(logits, labels.flip(0))


torch.manual_seed(313)
model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
images, labels = torch.rand(96, 3, 8, 8), torch.randint(5, (96,))
for x, y, lam in DataLoader(TensorDataset(images, labels), batch_size=8, collate_fn=CutMix(8)):
    loss = mixed_loss(model(x.to(device)), y.to(device), lam.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
