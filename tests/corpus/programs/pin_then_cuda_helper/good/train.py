"""A utility of another file pins each tensor of a tuple just before it uploads it."""
import torch
from move import to_gpu
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(144)
model = nn.Sequential(nn.Linear(600, 32), nn.ReLU(), nn.Linear(32, 600)).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
batches = torch.rand(12, 40, 600)
if torch.cuda.is_available():
    batches = batches.pin_memory()
for batch in batches:
    (x,) = to_gpu(batch)
    loss = nn.functional.mse_loss(model(x), x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
