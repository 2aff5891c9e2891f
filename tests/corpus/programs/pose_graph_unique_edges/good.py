"""Edges are deduplicated with unique on the device in every forward."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class EdgeConv(nn.Module):
    def __init__(self, dim=6):
        super().__init__()
        self.mlp = nn.Linear(2 * dim, dim)

    def forward(self, nodes, edges):
        source, target = edges
        messages = torch.relu(self.mlp(torch.cat([nodes[source], nodes[target]], 1)))
        return torch.zeros_like(nodes).index_add(0, target, messages)


torch.manual_seed(170)
layer = EdgeConv().to(device)
optimizer = torch.optim.Adam(layer.parameters())
graphs = [(torch.randn(10, 6), torch.unique(torch.randint(10, (2, 30)), dim=1)) for _ in range(12)]
for nodes, edges in graphs:
    nodes, edges = nodes.to(device), edges.to(device)
    loss = (layer(nodes, edges) - nodes).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
