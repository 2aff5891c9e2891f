"""A benchmark: synchronised once before and once after the measured loop."""
import time

import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
torch.manual_seed(172)
model = nn.Linear(16, 16).to(device).eval()
requests = torch.randn(20, 4, 16).to(device)
with torch.inference_mode():
    for x in requests[:5]:
        model(x)
    if device.type == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    outputs = [model(x) for x in requests]
    if device.type == "cuda":
        torch.cuda.synchronize()
    elapsed = time.perf_counter() - begin
print(len(outputs), elapsed > 0)
