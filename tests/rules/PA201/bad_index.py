"""A position that is read to index a tensor of the device, which takes a tensor."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"


class Ring(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(16, 8)
        self.register_buffer("kept", torch.zeros(8, 64))
        self.register_buffer("at", torch.zeros(1, dtype=torch.long))

    def forward(self, x):
        out = self.net(x)
        with torch.no_grad():
            at = int(self.at)  # expect: PA201
            self.kept[:, at : at + len(x)] = out.T
            self.at[0] = (at + len(x)) % 64
        return out


def suppress(boxes, scores):
    order, kept = scores.argsort(), []
    for _ in range(3):
        i = order[0].item()  # expect: PA201
        kept.append(i)
        rest = order[1:]
        order = rest[(boxes[i] - boxes[rest]).abs().sum(1) > 0.1]  # expect: PA204
    return kept


model = Ring().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for x in torch.randn(12, 16, 16):
    out = model(x.to(device))
    loss = out.square().mean()
    suppress(out.detach(), out.detach().sum(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
