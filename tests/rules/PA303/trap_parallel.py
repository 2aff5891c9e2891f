"""Each layer is whole on its own device; lengths stay on the host, as packing wants them."""

# simulate: cuda:2
import torch
from torch import nn

torch.manual_seed(0)
count = torch.cuda.device_count()
first = torch.device("cuda:0" if count else "cpu")
second = torch.device("cuda:1" if count > 1 else first)


class Pipeline(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(16, device=second))
        self.front = nn.LSTM(8, 16, batch_first=True, device=first)
        self.back = nn.Linear(16, 10, device=second)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        _, (hidden, _) = self.front(packed)
        return self.back(hidden[-1].to(second) * self.scale)


model = Pipeline()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
lengths = torch.tensor([5, 4, 3, 2])
for x in torch.randn(12, 4, 5, 8, device=first):
    loss = model(x, lengths).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
