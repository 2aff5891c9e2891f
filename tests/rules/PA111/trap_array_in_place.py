"""NumPy writes into the memory that a download filled, in another method: what, nobody knows."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


class Scores:
    def put(self, out):
        self.values = out.detach().cpu().numpy()

    def damp(self):
        self.values *= 0.5

    def get(self):
        return torch.from_numpy(self.values).to(device)  # expect: PA111 info


scores = Scores()
for x in torch.randn(12, 8, 64):
    out = model(x.to(device))
    scores.put(out)
    scores.damp()
    loss = (out - scores.get()).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
