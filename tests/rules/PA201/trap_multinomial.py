"""What an operator reads to check its arguments is PyTorch's doing."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(16, 4).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for x in torch.randn(12, 8, 16):
    logits = model(x.to(device))
    drawn = torch.multinomial(logits.detach().softmax(-1), 1)  # expect: PA201 info
    again = logits.detach().softmax(-1).multinomial(1)  # expect: PA201 info
    loss = -logits.log_softmax(-1).gather(1, drawn + again - again).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
