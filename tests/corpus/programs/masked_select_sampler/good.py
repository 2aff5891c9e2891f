"""Top-p sampling picks with masked_select in a generation loop."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


@torch.inference_mode()
def decode(model, state, steps):
    picked = []
    for _ in range(steps):
        probs = model(state).softmax(-1)
        nucleus = torch.where(probs > 1.0 / probs.size(-1), probs, torch.zeros_like(probs))
        picked.append(nucleus.sum())
        state = torch.tanh(state + probs[:, :8])
    return torch.stack(picked)


torch.manual_seed(89)
model = nn.Linear(8, 16).to(device)
print(f"{decode(model, torch.zeros(2, 8, device=device), 12).sum().item():.4f}")
