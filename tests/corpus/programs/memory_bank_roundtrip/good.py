"""MoCo's queue of keys is parked on the host between steps."""
import torch
import torch.nn.functional as F
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Queue:
    def __init__(self, size, dim):
        self.keys = F.normalize(torch.randn(size, dim), dim=1).to(device)

    def load(self):
        return self.keys

    def save(self, keys):
        self.keys = keys.detach()


torch.manual_seed(167)
encoder, queue = nn.Linear(12, 8).to(device), Queue(32, 8)
optimizer = torch.optim.SGD(encoder.parameters(), lr=0.03)
for x in torch.randn(12, 2, 4, 12):
    query, key = (F.normalize(encoder(v), dim=1) for v in x.to(device))
    bank = queue.load()
    logits = torch.cat([(query * key).sum(1, keepdim=True), query @ bank.T], 1) / 0.1
    loss = -logits.log_softmax(1)[:, 0].mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    queue.save(torch.cat([key, bank[:-4]]))
print(f"{loss.item():.4f}")
