"""A coefficient that is learned beside the model: read as a number, used on the device again."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
actor = nn.Linear(16, 4).to(device)
log_alpha = torch.zeros(1, requires_grad=True, device=device)
actor_optimizer = torch.optim.SGD(actor.parameters(), lr=0.1)
alpha_optimizer = torch.optim.SGD([log_alpha], lr=0.1)
batches = [torch.randn(8, 16).to(device) for _ in range(6)]
alpha = 1.0

for batch in batches:
    for _ in range(2):
        log_pi = actor(batch).log_softmax(1).amax(1)
        actor_loss = (alpha * log_pi).mean()
        actor_optimizer.zero_grad()
        actor_loss.backward()
        actor_optimizer.step()
        alpha_loss = (-log_alpha.exp() * (log_pi.detach() + 4.0)).mean()
        alpha_optimizer.zero_grad()
        alpha_loss.backward()
        alpha_optimizer.step()
        alpha = log_alpha.exp().item()  # expect: PA201
