"""AMP: GradScaler and clipping wait on the user's behalf; they are named, not blamed."""
import torch
from torch import nn

use_cuda = torch.cuda.is_available()
device = torch.device("cuda" if use_cuda else "cpu")
torch.manual_seed(79)
model = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 4)).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler(device.type, enabled=use_cuda)
accumulate = 2
data = [(torch.randn(8, 12), torch.randint(4, (8,))) for _ in range(24)]
for i, (x, y) in enumerate(data):
    with torch.autocast(device.type, dtype=torch.float16, enabled=use_cuda):
        loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device)) / accumulate
    scaler.scale(loss).backward()
    if (i + 1) % accumulate == 0:
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)  # expect: PA201 info
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
print(torch.isfinite(loss).item())
