"""A CRF layer clones its start scores from a host template, one per call."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class CRF(nn.Module):
    def __init__(self, tags=20):
        super().__init__()
        self.transitions = nn.Parameter(torch.randn(tags, tags) * 0.1)
        self.template = torch.full((tags,), -10.0)
        self.template[0] = 0.0

    def forward(self, emissions):
        alpha = self.template.clone().to(emissions.device)  # expect: PA102
        for emission in emissions.unbind(1):
            alpha = torch.logsumexp(alpha.unsqueeze(-1) + self.transitions, dim=-2) + emission
        return torch.logsumexp(alpha, -1).mean()


torch.manual_seed(118)
encoder, crf = nn.Linear(6, 20).to(device), CRF().to(device)
optimizer = torch.optim.Adam([*encoder.parameters(), *crf.parameters()], lr=1e-2)
for x in torch.randn(12, 4, 5, 6):
    loss = crf(encoder(x.to(device)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
