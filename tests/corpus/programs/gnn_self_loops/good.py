"""A graph convolution that adds self loops in each forward pass."""
import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def add_self_loops(edge_index, num_nodes):
    loops = torch.arange(num_nodes, dtype=torch.long, device=edge_index.device)
    return torch.cat([edge_index, loops.expand(2, -1)], dim=1)


class GCNConv(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.lin = nn.Linear(inputs, outputs)

    def forward(self, x, edge_index):
        edge_index = add_self_loops(edge_index, x.size(0))
        source, target = edge_index
        degree = torch.zeros(x.size(0), device=x.device).index_add_(
            0, target, torch.ones(target.size(0), device=x.device)
        )
        norm = degree.clamp(min=1).rsqrt()
        message = self.lin(x)[source] * (norm[source] * norm[target])[:, None]
        return torch.zeros_like(self.lin(x)).index_add_(0, target, message)


def main():
    torch.manual_seed(303)
    x = torch.randn(30, 8).to(device)
    y = torch.randint(4, (30,)).to(device)
    edges = torch.randint(30, (2, 90))
    conv1, conv2 = GCNConv(8, 16).to(device), GCNConv(16, 4).to(device)
    params = [*conv1.parameters(), *conv2.parameters()]
    optimizer = torch.optim.Adam(params, lr=1e-2)
    edges = edges.to(device)
    for epoch in range(14):
        out = conv2(conv1(x, edges).relu(), edges)
        loss = nn.functional.cross_entropy(out, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")


if __name__ == "__main__":
    main()
