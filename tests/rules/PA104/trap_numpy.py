"""What is read through NumPy, a pointer or a list is read, though no operation of PyTorch shows."""

import torch
from torch import nn

device = "cuda"
torch.manual_seed(0)
model = nn.Linear(64, 64).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x = torch.randn(16, 64, device=device)
largest, lists, addresses = 0.0, 0, 0
for _ in range(12):
    out = model(x)
    loss = out.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    array = out.detach().cpu().numpy()
    largest = max(largest, float(array.max()))
    lists += len((out.detach() * 2).cpu().tolist())
    hidden = (out.detach() + 1).cpu()
    addresses += hidden.data_ptr() != 0
print(largest, lists, addresses)
