"""A nested batch of many little fields crosses one by one."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
FIELDS = [f"f{i}" for i in range(5)]


def to_device(batch):
    return {k: v.to(device) for k, v in batch.items()}


class Recommender(nn.Module):
    def __init__(self):
        super().__init__()
        self.tables = nn.ModuleDict({k: nn.Embedding(10, 4) for k in FIELDS})
        self.out = nn.Linear(4 * len(FIELDS), 1)

    def forward(self, batch):
        return self.out(torch.cat([self.tables[k](batch[k]) for k in FIELDS], dim=1))


torch.manual_seed(50)
model = Recommender().to(device)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
batches = [{k: torch.randint(10, (8,)) for k in FIELDS} for _ in range(12)]
for batch in batches:
    loss = model(to_device(batch)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.5f}")
