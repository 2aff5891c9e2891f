"""It is loaded to where it is used."""

# simulate: cuda:2
import io

import torch
from torch import nn

torch.manual_seed(0)
count = torch.cuda.device_count()
home = f"cuda:{count - 1}" if count else "cpu"


def checkpoint():
    file = io.BytesIO()
    torch.save(nn.Linear(64, 10).state_dict(), file)
    file.seek(0)
    return file


model = nn.Linear(64, 10).to(home)
model.load_state_dict(torch.load(checkpoint(), map_location=home))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for x in torch.randn(12, 32, 64, device=home):
    loss = model(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
