"""The embedding table is too large for the device: looked up and trained on the host, by design."""
import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Ranker(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2 * dim, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, user, item):
        return self.net(torch.cat([user, item], dim=-1)).squeeze(-1)


torch.manual_seed(324)
table = nn.EmbeddingBag(5000, 16, sparse=True, mode="sum")
ranker = Ranker().to(device)
sparse = torch.optim.SparseAdam(table.parameters(), lr=1e-2)
dense = torch.optim.Adam(ranker.parameters(), lr=1e-2)
visits = torch.randint(5000, (12, 2, 8, 3))
clicks = torch.randint(2, (12, 8)).float()
for (users, items), clicked in zip(visits, clicks):
    score = ranker(table(users).to(device), table(items).to(device))
    loss = nn.functional.binary_cross_entropy_with_logits(score, clicked.to(device))
    sparse.zero_grad()
    dense.zero_grad()
    loss.backward()
    sparse.step()
    dense.step()
print(f"{loss.item():.4f}")
