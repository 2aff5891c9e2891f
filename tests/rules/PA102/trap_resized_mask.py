"""A mask that is kept, and made again only where the length of the last batch differs."""

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.mask = None
        self.head = nn.Linear(8, 8)

    def make_mask(self, size):
        return torch.log(torch.tril(torch.ones(size, size)))

    def forward(self, x):
        size = x.size(1)
        if self.mask is None or self.mask.size(0) != size:
            self.mask = self.make_mask(size).to(device)  # expect: PA102 info
        return self.head((self.mask.softmax(-1) @ x))


model = Model().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
data = torch.randn(4, 130, 8, device=device)


def evaluate(source):
    model.eval()
    total = torch.zeros((), device=device)
    with torch.no_grad():
        for begin in range(0, 52, 8):
            total += model(source[:, begin : min(begin + 8, 52)]).square().mean()
    model.train()
    return total


for begin in range(0, 130, 8):
    optimizer.zero_grad()
    model(data[:, begin : begin + 8]).square().mean().backward()
    optimizer.step()
print(evaluate(data).item(), evaluate(data).item())
