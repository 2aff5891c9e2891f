"""Momentum contrast: the queue's write position lives in a buffer on the device."""
import torch
import torch.nn.functional as F
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class MoCo(nn.Module):
    def __init__(self, dim=8, size=32, momentum=0.99, temperature=0.2):
        super().__init__()
        self.size, self.m, self.t = size, momentum, temperature
        self.query = nn.Linear(12, dim)
        self.key = nn.Linear(12, dim)
        self.key.load_state_dict(self.query.state_dict())
        self.key.requires_grad_(False)
        self.register_buffer("queue", F.normalize(torch.randn(dim, size), dim=0))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def _update_key(self):
        for q, k in zip(self.query.parameters(), self.key.parameters()):
            k.mul_(self.m).add_(q, alpha=1 - self.m)

    @torch.no_grad()
    def _enqueue(self, keys):
        n = keys.size(0)
        ptr = int(self.queue_ptr)  # expect: PA201
        self.queue[:, ptr : ptr + n] = keys.T
        self.queue_ptr[0] = (ptr + n) % self.size

    def forward(self, a, b):
        q = F.normalize(self.query(a), dim=1)
        with torch.no_grad():
            self._update_key()
            k = F.normalize(self.key(b), dim=1)
        positive = (q * k).sum(1, keepdim=True)
        logits = torch.cat([positive, q @ self.queue.clone()], dim=1) / self.t
        labels = torch.zeros(logits.size(0), dtype=torch.long, device=logits.device)
        self._enqueue(k)
        return F.cross_entropy(logits, labels)


torch.manual_seed(311)
model = MoCo().to(device)
optimizer = torch.optim.SGD(model.query.parameters(), lr=0.03)
for views in torch.randn(14, 2, 8, 12):
    a, b = views.to(device)
    loss = model(a, b)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
