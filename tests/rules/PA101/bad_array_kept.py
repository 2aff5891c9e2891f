"""An array keeps what a download brought and hands it back unchanged, in another method."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(64, 10).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)


class Replay:
    def put(self, out):
        self.values = out.detach().cpu().numpy()

    def get(self):
        return torch.from_numpy(self.values).to(device)  # expect: PA101

    def mean(self):
        return float(self.values.mean())  # the host uses it too: it is there already


replay, total = Replay(), 0.0
for x in torch.randn(12, 8, 64):
    out = model(x.to(device))
    replay.put(out)
    total += replay.mean()
    loss = (out - replay.get()).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
