"""The loader pins; the mover forgot what that is good for."""
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Pairs(Dataset):
    def __init__(self, n):
        self.left, self.right = torch.randn(n, 10), torch.randn(n, 10)

    def __len__(self):
        return len(self.left)

    def __getitem__(self, i):
        return {"left": self.left[i], "right": self.right[i], "id": i}


def prepare(batch):
    return {
        key: value.to(device) if key != "id" else value  # expect: PA203
        for key, value in batch.items()
    }


def info_nce(a, b, temperature=0.1):
    a, b = nn.functional.normalize(a, dim=-1), nn.functional.normalize(b, dim=-1)
    logits = a @ b.T / temperature
    return nn.functional.cross_entropy(logits, torch.arange(len(a), device=logits.device))


torch.manual_seed(341)
tower = nn.Linear(10, 16).to(device)
optimizer = torch.optim.AdamW(tower.parameters(), lr=1e-2)
for batch in DataLoader(Pairs(72), batch_size=6, pin_memory=torch.cuda.is_available()):
    batch = prepare(batch)
    loss = info_nce(tower(batch["left"]), tower(batch["right"]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
